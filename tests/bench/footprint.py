"""What a service costs that does nothing: memory, and the time until it is imported."""

import subprocess
import sys
import time
from pathlib import Path

from tests.bench.child import Task
from tests.bench.processes import Child, Run

#: What the process of one service imports; above bare Python.
IMPORTS = {
    "hocket": "import hocket.assembly, hocket.stores.sqlite, hocket.transports.rabbitmq, services.orders",
    "raw_aio_pika": "import aio_pika, pydantic",
    "faststream": "import faststream, faststream.rabbit, pydantic",
}


def _milliseconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - began) * 1000


def import_ms(system: str) -> Run:
    """Milliseconds of the imports above bare Python's start."""
    return Run({"import_ms": _milliseconds(IMPORTS[system]) - _milliseconds("pass")})


def idle_mib(module: str, task: Task) -> Run:
    """Resident memory of one waiting service, in MiB."""
    with Child(module, "idle", task) as child:
        child.ready()
        status = Path(f"/proc/{child.process.pid}/smaps_rollup").read_text(encoding="ascii")
        child.go()
        child.result()
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Rss:"))
    return Run({"idle_mib": kib / 1024})

"""What a service costs that does nothing: memory, and the time until it is imported."""

import subprocess
import sys
from pathlib import Path

from tests.bench.measured_process import Task
from tests.bench.processes import Child, Run

#: What the process of one service imports.
IMPORTS = {
    "hocket": "import hocket.assembly, hocket.store.sqlite.store, hocket.broker.rabbitmq, services.orders",
    "raw_aio_pika": "import aio_pika, pydantic",
    "faststream": "import faststream, faststream.rabbit, pydantic",
}


#: Taken within the process: neither the start of Python nor its end, which looks through all that was made, is import.
TIMED = "import time; began = time.perf_counter(); {}; print((time.perf_counter() - began) * 1000)"


def import_ms(system: str) -> Run:
    """Milliseconds that the imports take in a new process."""
    words = [sys.executable, "-c", TIMED.format(IMPORTS[system])]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return Run({"import_ms": float(said)})


def idle_mib(module: str, task: Task) -> Run:
    """Resident memory of one waiting service, in MiB."""
    with Child(module, "idle", task) as child:
        child.ready()
        status = Path(f"/proc/{child.process.pid}/smaps_rollup").read_text(encoding="ascii")
        child.go()
        child.result()
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Rss:"))
    return Run({"idle_mib": kib / 1024})

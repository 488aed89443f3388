"""A demo in a process of its own, as `make demo` runs it, and what it leaves behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from deploy.demo.place import HOST, PORTS, Place

ROOT = Path(__file__).parents[3]
#: Seconds that a short demo may take, and that it may take to end after it was asked to.
DEMO_SECONDS = 180.0
END_SECONDS = 60.0
#: Seconds after the end within which everything must have gone.
GONE_SECONDS = 15.0
#: Orders of a short demo.
ORDERS = 60


def open_ports(offset: int) -> list[str]:
    """The services of a demo whose ports somebody listens on."""
    found = []
    for service, port in PORTS.items():
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((HOST, port + offset)) == 0:
                found.append(service)
    return found


class Demo:
    """One demo; `environment` is added to what this process has."""

    def __init__(self, offset: int, **environment: str) -> None:
        self.offset = offset
        self.place = Place(ROOT, offset)
        self._log = ROOT / "var" / f"test-demo-{offset}.log"
        self._log.parent.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEMO_", "HOCKET_"))}
        told = {"DEMO_PORT_OFFSET": str(offset), "DEMO_ORDERS": str(ORDERS), "STAY": "0"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.demo"],
                cwd=ROOT,
                env={**kept, **told, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        """What it has said so far."""
        return self._log.read_text(encoding="utf-8")

    def until(self, text: str) -> None:
        """Wait until it has said this."""
        end = time.monotonic() + DEMO_SECONDS
        while text not in self.printed:
            assert self.process.poll() is None, f"it ended before it said {text!r}:\n{self.printed}"
            assert time.monotonic() < end, f"it never said {text!r}:\n{self.printed}"
            time.sleep(0.1)

    def wait(self) -> int:
        """Its exit status."""
        return self.process.wait(DEMO_SECONDS)

    def interrupt(self) -> int:
        """Ctrl-C, and the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_SECONDS)

    def processes(self) -> list[int]:
        """Every process that works on this demo's files or for its ports, itself aside."""
        marks = (f"demo-{self.offset}/", f"DEMO_PORT_OFFSET={self.offset}\0")
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                said = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes() + b"\0"
            except OSError:
                continue
            if int(folder.name) != self.process.pid and any(mark.encode() in said for mark in marks):
                found.append(int(folder.name))
        return found

    def left(self) -> tuple[list[str], list[int]]:
        """The ports and the processes that are still there, a moment after its end: what was killed needs one."""
        end = time.monotonic() + GONE_SECONDS
        while True:
            found = open_ports(self.offset), self.processes()
            if found == ([], []) or time.monotonic() >= end:
                return found
            time.sleep(0.1)

    def end(self) -> None:
        """End it, whatever it does, and remove what it wrote; for the end of a test."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.unlink(missing_ok=True)
        shutil.rmtree(self.place.folder, ignore_errors=True)

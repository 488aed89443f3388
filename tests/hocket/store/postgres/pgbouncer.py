"""A private pgbouncer before the tests' PostgreSQL, configured as it comes."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest

from deploy.database.server import PostgresServer, _free_port, _servant
from deploy.setup import found

#: Longest wait for it to listen, in seconds.
START_SECONDS = 20.0

Mode = Literal["session", "transaction", "statement"]


class PgBouncer:
    """One pooler by one mode, of at most `size` connections to the server."""

    def __init__(self, server: PostgresServer, mode: Mode, size: int = 20) -> None:
        program = found("pgbouncer")
        if program is None:
            pytest.skip("no pgbouncer is installed here; `make test` as root installs it")
        self.port = _free_port()
        self.server = server
        self._home = Path(tempfile.mkdtemp(prefix="hocket-pgbouncer-"))
        (self._home / "users.txt").write_text(f'"{server.user}" "{server.password}"\n', encoding="ascii")
        (self._home / "pgbouncer.ini").write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nauth_type = plain\n"
            f"auth_file = {self._home}/users.txt\npool_mode = {mode}\ndefault_pool_size = {size}\nunix_socket_dir =\n",
            encoding="ascii",
        )
        self._words = [str(program), str(self._home / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            servant = _servant()
            for path in (self._home, *self._home.iterdir()):
                os.chown(path, servant.pw_uid, servant.pw_gid)
            who = [f"--reuid={servant.pw_uid}", f"--regid={servant.pw_gid}", "--clear-groups"]
            self._words = ["setpriv", *who, "--pdeathsig=KILL", "--", *self._words]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self) -> str:
        """The address of the database by way of the pooler."""
        return self.server.url().replace(f":{self.server.port}/", f":{self.port}/")

    def start(self) -> None:
        """Start it; returns when it listens."""
        log = (self._home / "log").open("ab")
        with log:
            self._process = subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while "process up" not in (self._home / "log").read_text(encoding="utf-8"):
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError((self._home / "log").read_text(encoding="utf-8"))
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once: every client loses its connection."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            self._process.wait(START_SECONDS)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

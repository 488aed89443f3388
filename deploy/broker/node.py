"""A private RabbitMQ node: own folder, own ports, own name, own epmd; nothing of it stays behind.

Only the standard library is used. The node listens on loopback, is started from an installed `rabbitmq-server`, and
ends with `stop`, with the `with` block, or with this process, however that ends.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

#: Longest wait for the node to accept AMQP, in seconds.
START_SECONDS = 120.0
#: Tries of the first start, each on fresh ports.
START_TRIES = 3
#: Longest wait for an orderly stop, in seconds; after it the node is killed.
STOP_SECONDS = 30.0
#: Longest wait for a killed node to let its port go, in seconds.
PORT_SECONDS = 5.0
#: Longest wait for one call of rabbitmqctl, in seconds.
CTL_SECONDS = 90.0
#: Largest message that the node takes, in bytes: the default of RabbitMQ 4.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

#: Names a folder with `rabbitmq-server` and `rabbitmqctl`, to use another server than the one that is installed.
PROGRAMS = "RABBITMQ_PROGRAMS"
#: Where Debian and RPM packages keep the server.
PACKAGED = Path("/usr/lib/rabbitmq/lib")
HELLO = b"AMQP\x00\x00\x09\x01"

CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
loopback_users = none
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = {memory}
max_message_size = {max_message}
raft.wal_max_size_bytes = 67108864
log.console = false
log.file = {log}
log.file.level = warning
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
"""
#: Settings of a plugin that is off would be refused at start.
PLUGIN_SETTINGS = {"rabbitmq_prometheus": "prometheus.", "rabbitmq_management": "management."}
#: Memory above which the node raises an alarm, in bytes.
MEMORY_BYTES = 1_000_000_000


class BrokerFailed(Exception):
    """The private node cannot be started or asked; the text says what happened and where its log is."""


def find_programs() -> Path | None:
    """The folder that `RABBITMQ_PROGRAMS` names, else `sbin` of the newest installed server; None: there is none."""

    def version(path: Path) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", path.parent.parent.name)]

    if named := os.environ.get(PROGRAMS):
        return Path(named)
    packaged = sorted(PACKAGED.glob("rabbitmq_server-*/sbin/rabbitmq-server"), key=version)
    if packaged:
        return packaged[-1].parent
    on_path = shutil.which("rabbitmq-server")
    return Path(on_path).resolve().parent if on_path else None


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on just now, all different."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


class RabbitNode:
    """One node in `folder`; data stays there, so that it can be stopped or killed and started again.

    `prometheus` and `management` switch the plugins on, `settings` are further lines of its rabbitmq.conf. Raises
    `BrokerFailed`.
    """

    def __init__(
        self, folder: Path, *, prometheus: bool = False, management: bool = False, settings: Sequence[str] = ()
    ) -> None:
        programs = find_programs()
        if programs is None:
            raise BrokerFailed("no rabbitmq-server is installed: apt-get install rabbitmq-server brings one")
        self._programs = programs
        self._folder = folder.resolve()
        self._settings = tuple(settings)
        self._plugins = ["rabbitmq_prometheus"] * prometheus + ["rabbitmq_management"] * management
        self.user, self.password = "hocket", secrets.token_hex(12)
        self._name = f"hocket-{os.getpid()}-{secrets.token_hex(3)}@localhost"
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._started_once = False
        self._pick_ports()

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, or start again on the same data and ports; returns when it accepts AMQP."""
        if self._server is not None:
            return
        for left in reversed(range(1 if self._started_once else START_TRIES)):
            self.write_settings()
            try:
                self._launch()
                self._await_hello()
            except BaseException as failed:
                self.kill()  # it has served nobody, and one that still boots may take the whole bound of a stop
                self.stop()
                if not left or not isinstance(failed, BrokerFailed):
                    raise
                self._pick_ports()
            else:
                self._started_once = True
                return

    def stop(self) -> None:
        """End the node in order, and its epmd; what does not end within the bound is killed."""
        self._end_server(signal.SIGTERM)
        self._end(self._epmd, signal.SIGKILL)
        self._epmd = None

    def kill(self) -> None:
        """End the node as a power cut does (SIGKILL); `start` begins again on the same data."""
        self._end_server(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    # -- use -------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int:
        """The id of the server's process, the leader of its group. Raises `BrokerFailed` when it is not running."""
        if self._server is None:
            raise BrokerFailed("the node is not running: start it first")
        return self._server.pid

    @property
    def log(self) -> Path:
        """Where the node writes its log."""
        return self._folder / "log" / "node.log"

    def url(self, vhost: str = "/") -> str:
        """The AMQP address of a virtual host, with the password."""
        return f"amqp://{self.user}:{self.password}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    def ctl(self, *words: str) -> str:
        """Call rabbitmqctl on this node and return what it printed."""
        try:
            ended = subprocess.run(
                [str(self._programs / "rabbitmqctl"), "--quiet", *words],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CTL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise BrokerFailed(f"rabbitmqctl {' '.join(words)} took longer than {CTL_SECONDS:.0f} s") from late
        if ended.returncode:
            raise BrokerFailed(f"rabbitmqctl {' '.join(words)} failed: {(ended.stderr or ended.stdout).strip()}")
        return ended.stdout

    def add_vhost(self, name: str) -> str:
        """Make a virtual host that the node's user may do everything in; returns its AMQP address."""
        self.ctl("add_vhost", name)
        self.ctl("set_permissions", "-p", name, self.user, ".*", ".*", ".*")
        return self.url(name)

    def alarm(self, on: bool) -> None:
        """Raise or clear the memory alarm: while it stands, publishers are held back."""
        self.ctl("set_vm_memory_high_watermark", "absolute", "1" if on else str(MEMORY_BYTES))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _pick_ports(self) -> None:
        self.port, self._dist, self._epmd_port, self.prometheus_port, self.management_port = free_ports(5)

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        return kept | {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "no-advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature-flags"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def write_settings(self) -> None:
        """Write folders and settings; `start` does."""
        folder = self._folder
        for name in ("data", "log", "config"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        cookie = folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16), encoding="ascii")
            cookie.chmod(0o400)
        config = CONFIG.format(
            amqp=self.port,
            user=self.user,
            password=self.password,
            memory=MEMORY_BYTES,
            max_message=MAX_MESSAGE_BYTES,
            log=self.log,
            prometheus=self.prometheus_port,
            management=self.management_port,
        )
        off = tuple(start for plugin, start in PLUGIN_SETTINGS.items() if plugin not in self._plugins)
        kept = [line for line in config.splitlines() if not line.startswith(off or ("#",))]
        settings = folder / "rabbitmq.conf"  # it holds the password
        settings.touch(mode=0o600)
        settings.chmod(0o600)
        settings.write_text("\n".join([*kept, *self._settings]) + "\n", encoding="utf-8")
        (folder / "plugins").write_text(f"[{','.join(self._plugins)}].\n", encoding="ascii")

    def _launch(self) -> None:
        with (self._folder / "log" / "console.log").open("ab") as console:
            if self._epmd is None or self._epmd.poll() is not None:
                self._epmd = self._spawn(["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"], console)
                self._await_epmd()
            self._server = self._spawn([str(self._programs / "rabbitmq-server")], console)
        # The guard's standard input ends when this process does, even by SIGKILL; then it ends the two groups.
        groups = f"-{self._server.pid} -{self._epmd.pid}"
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _; kill -s KILL -- {groups} 2>/dev/null"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _await_epmd(self) -> None:
        """A node that finds no epmd yet starts one of its own, as a daemon that nobody ends."""
        end = time.monotonic() + PORT_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._epmd_port), 1.0):
                return
            time.sleep(0.02)
        raise BrokerFailed(f"epmd did not listen on port {self._epmd_port} within {PORT_SECONDS:.0f} s")

    def _spawn(self, words: list[str], console: BinaryIO) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                words,
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as failed:
            raise BrokerFailed(f"{words[0]} cannot be started: {failed}") from failed

    def _await_hello(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if not self.running:
                raise BrokerFailed(f"the RabbitMQ node ended while starting; its log is {self.log}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as probe:
                probe.settimeout(5.0)
                probe.sendall(HELLO)
                if probe.recv(1):
                    return
            time.sleep(0.1)
        raise BrokerFailed(f"the RabbitMQ node did not answer within {START_SECONDS:.0f} s; its log is {self.log}")

    def _end_server(self, word: signal.Signals) -> None:
        self._end(self._guard, signal.SIGKILL)
        self._guard = None
        self._end(self._server, word)
        self._server = None
        # The shell that was our child has ended; the node's own process may need a moment more to let the port go.
        end = time.monotonic() + PORT_SECONDS
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                return
            time.sleep(0.02)

    @staticmethod
    def _end(process: subprocess.Popen[bytes] | None, word: signal.Signals) -> None:
        """Ask the process group to end; kill what of it is left, also when its first process has gone."""
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if word is not signal.SIGKILL and process.poll() is None:
            process.send_signal(word)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

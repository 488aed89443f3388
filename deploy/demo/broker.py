"""Which broker this demo has: one that is named, a node of its own, a container, or none: then memory, said plainly.

It never touches a node that already runs.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.broker.node import HELLO, BrokerFailed, RabbitNode, find_programs, free_ports
from deploy.demo.place import HOST, Place, StepFailed
from deploy.demo.progress import Told

MEMORY = "memory://"
IMAGE = "rabbitmq:4-management"
#: Seconds that Docker may take to say whether it runs, to bring the image and start it, and to remove it.
DOCKER_ANSWER_SECONDS = 10.0
DOCKER_RUN_SECONDS = 300.0
DOCKER_END_SECONDS = 30.0
#: Seconds until the broker in the container must accept connections.
HELLO_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where events travel."""

    url: str

    @property
    def memory(self) -> bool:
        """Whether it is in this process."""
        return self.url.startswith("memory:")

    @property
    def kind(self) -> str:
        """As the report names it."""
        return "memory" if self.memory else "rabbitmq"


@contextlib.contextmanager
def broker(place: Place, told: Told) -> Iterator[Broker]:
    """The demo's broker, gone again at the end where it is its own. `StepFailed` where it cannot be started."""
    named = os.environ.get("HOCKET_BROKER_URL", "")
    if named:
        shown = urlsplit(named)
        told.say(f"Broker: the one named by HOCKET_BROKER_URL ({shown.scheme}://{shown.hostname or ''}).")
        yield Broker(named)
    elif find_programs() is not None:
        yield from _node(place, told)
    elif _docker_runs():
        yield from _container(place, told)
    else:
        told.say(
            "Broker: memory://, all services in one process, because no RabbitMQ is installed and no Docker runs here; "
            "for the real thing run `apt-get install --no-install-recommends rabbitmq-server` as root, or name a "
            "broker by HOCKET_BROKER_URL=amqp://user:password@host/vhost."
        )
        yield Broker(MEMORY)


def _node(place: Place, told: Told) -> Iterator[Broker]:
    told.say("Starting a private RabbitMQ node …")
    try:
        node = RabbitNode(place.folder / "rabbitmq")
        node.start()
    except BrokerFailed as failed:
        raise StepFailed(f"The step 'start a private RabbitMQ node' failed: {failed}.") from failed
    try:
        told.say(f"Broker: a private RabbitMQ node on port {node.port}; its log is {place.shown(node.log)}.")
        yield Broker(node.url())
    finally:
        node.stop()


def _docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        ended = subprocess.run(["docker", "info"], capture_output=True, timeout=DOCKER_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _container(place: Place, told: Told) -> Iterator[Broker]:
    [port] = free_ports(1)
    name = f"hocket-demo-{os.getpid()}-{secrets.token_hex(3)}"
    password = secrets.token_hex(12)
    log = place.log("docker")
    told.say(f"Starting {IMAGE} in a container ({name}) …")
    asked = ["docker", "run", "--detach", "--rm", "--name", name, "--publish", f"{HOST}:{port}:5672"]
    asked += ["--env", "RABBITMQ_DEFAULT_USER=hocket", "--env", f"RABBITMQ_DEFAULT_PASS={password}", IMAGE]
    try:
        with log.open("ab") as out:
            try:
                subprocess.run(asked, stdout=out, stderr=out, timeout=DOCKER_RUN_SECONDS, check=True)
            except (OSError, subprocess.SubprocessError) as failed:
                raise StepFailed(
                    f"The step 'start {IMAGE} in a container' failed ({type(failed).__name__}); "
                    f"its log is {place.shown(log)}."
                ) from failed
        if not _says_hello(port):
            raise StepFailed(f"The step 'wait for {IMAGE}' failed: no answer within {HELLO_SECONDS:.0f} s.")
        told.say(f"Broker: RabbitMQ in the container {name} on port {port}.")
        yield Broker(f"amqp://hocket:{password}@{HOST}:{port}/%2F")
    finally:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["docker", "rm", "--force", name], capture_output=True, timeout=DOCKER_END_SECONDS, check=False
            )


def _says_hello(port: int) -> bool:
    end = time.monotonic() + HELLO_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1.0) as probe:
            probe.settimeout(5.0)
            probe.sendall(HELLO)
            if probe.recv(1):
                return True
        time.sleep(0.5)
    return False

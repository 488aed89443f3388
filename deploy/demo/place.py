"""Where one demo lives: its folder, its ports, its addresses; two demos with different offsets do not meet."""

import errno
import secrets
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.demo.webhooks.signing import Secrets

#: Every service and its port, in the order in which they are started.
PORTS: Mapping[str, int] = {
    "sandbox": 8009,
    "tracer": 8080,
    "deadletters": 8081,
    "inventory": 8004,
    "notifications": 8005,
    "crm": 8006,
    "shipping": 8008,
    "payments": 8003,
    "orders": 8002,
    "order_view": 8007,
    "scoring": 8011,
    "ingress": 8001,
}
HOST = "127.0.0.1"
#: Seconds after which the order view takes its history, which is empty, to be read: before the first order is posted.
MARKER_SECONDS = "2"
#: The highest offset at which every port is one.
MAX_OFFSET = 65_535 - max(PORTS.values())


class StepFailed(Exception):
    """A step of the demo failed; the text says which, why, and where its log is."""


@dataclass(frozen=True, slots=True)
class Place:
    """One demo's own place on this machine."""

    root: Path  # of the project
    offset: int = 0
    pseudonym_key: str = field(default_factory=lambda: secrets.token_hex(32), compare=False, repr=False)
    customer_key: str = field(default_factory=lambda: secrets.token_hex(32), compare=False, repr=False)
    senders: Secrets = field(default_factory=Secrets, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """Everything that this demo writes."""
        return self.root / "var" / (f"demo-{self.offset}" if self.offset else "demo")

    @property
    def posts(self) -> Path:
        """The record of each post and its answer."""
        return self.folder / "posts.jsonl"

    @property
    def report(self) -> Path:
        """The auditor's report."""
        return self.folder / "report.json"

    def log(self, name: str) -> Path:
        """The log of one program."""
        return self.folder / "logs" / f"{name}.log"

    def shown(self, path: Path) -> str:
        """A path as a person reads it: from the project's folder."""
        return path.relative_to(self.root).as_posix()

    def port(self, service: str) -> int:
        """The port of a service."""
        return PORTS[service] + self.offset

    def url(self, service: str) -> str:
        """The address of a service."""
        return f"http://{HOST}:{self.port(service)}"

    def environment(self, broker_url: str) -> dict[str, str]:
        """What each service of this demo is told."""
        world = self.url("sandbox")
        return {
            "HOCKET_BROKER_URL": broker_url,
            "HOCKET_DATABASE_URL": f"sqlite:///{self.folder}/data/{{service}}.db",
            "HOCKET_HTTP_HOST": HOST,
            "HOCKET_PSEUDONYM_KEY": self.pseudonym_key,
            "PAYMENTS_CARDS_URL": f"{world}/cards",
            "INVENTORY_STOCK_URL": f"{world}/stock",
            "NOTIFICATIONS_MAIL_URL": f"{world}/mail",
            "CRM_URL": f"{world}/crm",
            "SHIPPING_CARRIER_URL": f"{world}/carrier",
            "ORDER_VIEW_CUSTOMER_KEY": self.customer_key,
            "HOCKET_BACKFILL_MARKER_SECONDS": MARKER_SECONDS,
            **self.senders.environment(),
            "TRACER_DESK_URL": self.url("deadletters"),
            "DESK_TRACER_URL": self.url("tracer"),
        }

    def claim(self) -> None:
        """See that every port is free, then make the folder afresh. `StepFailed` names the port that is not."""
        for service in PORTS:
            _see_free(service, self.port(service))
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("logs", "data"):
            (self.folder / name).mkdir(parents=True)


def _see_free(service: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as refused:
            why = "is taken by another program" if refused.errno == errno.EADDRINUSE else f"cannot be used ({refused})"
            raise StepFailed(
                f"Port {port}, wanted for {service}, {why}: set DEMO_PORT_OFFSET, as in DEMO_PORT_OFFSET=1000, "
                "to shift all ports of the demo."
            ) from refused

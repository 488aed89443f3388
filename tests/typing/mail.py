"""A small mail service: its `uses` yields a protocol, without settings."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

from hocket import Heard, Retry, Service, Tx


class Mail(Protocol):
    """The mail client."""

    async def send(self, to: str, text: str, *, key: str) -> None:
        """Send once for a key."""


class Smtp:
    """A mail system that accepts everything."""

    async def send(self, to: str, text: str, *, key: str) -> None:
        """Send once for a key."""


@asynccontextmanager
async def mail() -> AsyncGenerator[Mail, None]:
    """The mail system while the service runs."""
    yield Smtp()


notifications = Service("notifications", owner="team-crm", uses=mail)


class OrderConfirmed(Heard, type="order.confirmed"):
    """An order was confirmed."""

    order_id: str


class OrderCancelled(Heard, type="order.cancelled"):
    """An order was cancelled."""

    order_id: str
    reason: str


@notifications.handler(retry=Retry(retries=7, factor=3, jitter=0.5, on=(OSError,)), formerly="tell")
async def tell_customer(event: OrderConfirmed | OrderCancelled, tx: Tx[Mail]) -> None:
    """Inform the customer in both cases."""
    text = event.reason if isinstance(event, OrderCancelled) else "confirmed"
    await tx.use.send(event.order_id, text, key=tx.idempotency_key)

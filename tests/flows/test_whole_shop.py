"""The whole shop with the real outside world: every service with its HTTP side, in real time, in one process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.database.server import PostgresServer
from hocket.assembly import Assembly
from hocket.config import Config
from hocket.testing.play import PSEUDONYM_KEY as KEY
from services.crm import crm
from services.ingress import ingress
from services.inventory import inventory
from services.notifications import notifications
from services.orders import orders
from services.payments import payments
from services.sandbox import sandbox

#: Seconds in which everything must come to its end.
PATIENCE = 40.0

Settled = Callable[[list[Any]], bool]


class Town:
    """The shop and the world as a customer and an auditor reach them: over HTTP."""

    def __init__(self, assembly: Assembly, http: aiohttp.ClientSession) -> None:
        self._at = {name: f"http://127.0.0.1:{part.web.port}" for name, part in assembly.parts.items()}
        self._http = http

    async def post(self, service: str, path: str, body: object, **headers: str) -> Any:
        """Post JSON and return the answer, which must be good."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.post(self._at[service] + path, json=body, headers=sent) as answer:
            assert answer.status < 300, (path, answer.status, await answer.text())
            return await answer.json()

    async def all(self, service: str, path: str, what: str) -> list[Any]:
        """Every page of something."""
        found, after = list[Any](), 0
        while after is not None:
            async with self._http.get(f"{self._at[service]}{path}?after={after}&limit=500") as answer:
                page = await answer.json()
            found += page[what]
            after = page["next"]
        return found

    async def until(self, service: str, path: str, what: str, settled: Settled) -> list[Any]:
        """The same, once it is settled."""
        async with asyncio.timeout(PATIENCE):
            while not settled(found := await self.all(service, path, what)):  # noqa: ASYNC110 - it stands behind HTTP
                await asyncio.sleep(0.1)
        return found


@asynccontextmanager
async def town(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broker_url: str, database_url: str = ""
) -> AsyncIterator[Town]:
    """The sandbox first, then the shop with its settings from the environment."""
    assembly = Assembly(
        Config(
            pseudonym_key=KEY, broker_url=broker_url, database_url=database_url or f"sqlite:///{folder}/{{service}}.db"
        )
    )
    try:
        outside = f"http://127.0.0.1:{(await assembly.start(sandbox, 0)).web.port}"
        monkeypatch.setenv("PAYMENTS_CARDS_URL", f"{outside}/cards")
        monkeypatch.setenv("INVENTORY_STOCK_URL", f"{outside}/stock")
        monkeypatch.setenv("NOTIFICATIONS_MAIL_URL", f"{outside}/mail")
        monkeypatch.setenv("CRM_URL", f"{outside}/crm")
        for service in (orders, payments, inventory, notifications, ingress, crm):
            await assembly.start(service, 0)
        async with asyncio.timeout(PATIENCE):  # what is said before a queue is bound is not heard there
            while any(part.worker.health() for part in assembly.parts.values()):  # noqa: ASYNC110 - no moment to wait for
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as http:
            yield Town(assembly, http)
    finally:
        await assembly.close()


async def test_the_books_balance_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good orders, declined, sold out, ones whose charge times out: charges less refunds are confirmations."""
    async with town(tmp_path, monkeypatch, "memory://") as shop:
        await _books_balance(shop)


async def test_the_books_balance_on_rabbitmq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker_url: str) -> None:
    """The same over a real broker."""
    async with town(tmp_path, monkeypatch, broker_url) as shop:
        await _books_balance(shop)


async def test_the_books_balance_on_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    """The same with every service on a PostgreSQL database of its own."""
    for service in (sandbox, orders, payments, inventory, notifications, ingress, crm):
        postgres.add_database(service.name)
    async with town(
        tmp_path, monkeypatch, "memory://", postgres.url("SERVICE").replace("SERVICE", "{service}")
    ) as shop:
        await _books_balance(shop)


async def _books_balance(shop: Town) -> None:
    fault = {"target": "cards", "kind": "timeout_after", "delay_ms": 1500, "times": 1}
    for number in range(3):
        await shop.post("sandbox", "/faults", {**fault, "match": {"card": f"tok-{number}"}})
    kinds = [("tok-{}", "lamp")] * 12 + [("declined-{}", "lamp")] * 4 + [("tok-{}", "sold-out")] * 4
    for number, (card, sku) in enumerate(kinds):
        order = {"customer": "Ada", "email": f"c{number}@example.com", "card": card.format(number), "sku": sku}
        await shop.post("orders", "/orders", {**order, "quantity": 1, "total_cents": 100 + number})
    for number in range(5):
        for _ in range(2):
            lead = {"email": f"l{number}@example.com", "campaign": "spring"}
            await shop.post("ingress", "/leads", lead, X_Delivery_Id=f"d{number}")
    ended = await shop.until(
        "orders", "/orders", "orders", lambda all_: all(each["state"] != "placed" for each in all_)
    )
    mails = await shop.until("sandbox", "/mailbox", "mails", lambda all_: len(all_) >= len(kinds) + 5)
    cards = await shop.until(
        "sandbox", "/books/cards", "books", lambda all_: Counter(each["did"] for each in all_)["refunded"] == 4
    )
    contacts = await shop.until("sandbox", "/books/crm", "books", lambda all_: len(all_) >= 5)
    states = Counter(each["state"] for each in ended)
    did = Counter(each["did"] for each in cards)
    assert states == {"confirmed": 12, "cancelled": 8}
    assert did["charged"] - did["refunded"] == states["confirmed"]
    assert (did["declined"], did["repeated"]) == (4, 3)
    assert Counter(each["kind"] for each in mails) == {"confirmation": 12, "apology": 8, "welcome": 5}
    assert Counter(each["did"] for each in contacts) == {"entered": 5}

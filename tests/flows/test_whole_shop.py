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
from services.order_view import order_view
from services.orders import orders
from services.payments import payments
from services.sandbox import sandbox
from services.scoring import scoring
from services.shipping import shipping

SHOP = (orders, payments, inventory, shipping, notifications, ingress, crm, scoring, order_view)
#: Seconds in which everything must come to its end.
PATIENCE = 40.0

ENDS = {"shipped", "cancelled"}
#: Fourteen were confirmed, two of these nobody would carry; four were cancelled by their customers.
MAILS = Counter({"confirmation": 14, "apology": 8, "cancellation": 4, "welcome": 5})

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
        found, after = list[Any](), ""
        by = "cursor" if service == "order_view" else "after"
        joint = "&" if "?" in path else "?"
        while after is not None:
            said = f"&{by}={after}" if after else ""
            async with self._http.get(f"{self._at[service]}{path}{joint}limit=500{said}") as answer:
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
        monkeypatch.setenv("SHIPPING_CARRIER_URL", f"{outside}/carrier")
        monkeypatch.setenv("NOTIFICATIONS_MAIL_URL", f"{outside}/mail")
        monkeypatch.setenv("CRM_URL", f"{outside}/crm")
        for service in SHOP:
            await assembly.start(service, 0)
        async with asyncio.timeout(PATIENCE):  # what is said before a queue is bound is not heard there
            while any(part.worker.health() for part in assembly.parts.values()):  # noqa: ASYNC110 - no moment to wait for
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as http:
            yield Town(assembly, http)
    finally:
        await assembly.close()


async def test_the_books_balance_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good orders, declined, sold out, too big, ones whose card times out, some returned: what stands was shipped."""
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
    for service in (sandbox, *SHOP):
        postgres.add_database(service.name)
    async with town(
        tmp_path, monkeypatch, "memory://", postgres.url("SERVICE").replace("SERVICE", "{service}")
    ) as shop:
        await _books_balance(shop)


async def _books_balance(shop: Town) -> None:
    fault = {"target": "cards", "kind": "timeout_after", "delay_ms": 1500, "times": 1}
    for number in range(3):
        await shop.post("sandbox", "/faults", {**fault, "match": {"card": f"tok-{number}"}})
    kinds = (
        [("tok-{}", "lamp")] * 12 + [("declined-{}", "lamp")] * 4 + [("tok-{}", "sold-out"), ("tok-{}", "too-big")] * 2
    )
    placed = list[str]()
    for number, (card, sku) in enumerate(kinds):
        order = {"customer": "Ada", "email": f"c{number}@example.com", "card": card.format(number), "sku": sku}
        answer = await shop.post("orders", "/orders", {**order, "quantity": 1, "total_cents": 100 + number})
        placed.append(answer["order_id"])
    for number in range(5):
        for _ in range(2):
            lead = {"email": f"l{number}@example.com", "campaign": "spring"}
            await shop.post("ingress", "/leads", lead, X_Delivery_Id=f"d{number}")
    await shop.until("orders", "/orders", "orders", lambda all_: all(each["state"] in ENDS for each in all_))
    await shop.until("sandbox", "/books/cards", "books", lambda all_: _count(all_, "captured") == 12)
    for order_id in placed[:6]:
        await shop.post("shipping", "/deliveries", {"order_id": order_id})
    for order_id in placed[4:8]:  # two of them were delivered, two are on their way
        for _ in range(2):
            await shop.post("orders", f"/orders/{order_id}/cancellations", {"reason": "too dark"})
    await _settled(shop)


async def _settled(shop: Town) -> None:
    """Four of twelve came back; eight that failed left nothing behind."""
    mails = await shop.until("sandbox", "/mailbox", "mails", lambda all_: len(all_) >= MAILS.total())
    cards = await shop.until(
        "sandbox",
        "/books/cards",
        "books",
        lambda all_: _count(all_, "voided") == 4 and _count(all_, "refunded") == 4,
    )
    stock = await shop.until("sandbox", "/books/stock", "books", lambda all_: _count(all_, "released") == 6)
    parcels = await shop.until("sandbox", "/books/carrier", "books", lambda all_: _count(all_, "recalled") == 4)
    contacts = await shop.until("sandbox", "/books/crm", "books", lambda all_: _count(all_, "entered") >= 5)
    ended = await shop.until(
        "orders", "/orders", "orders", lambda all_: sum(each["state"] == "delivered" for each in all_) == 4
    )
    assert Counter(each["state"] for each in ended) == {"shipped": 4, "delivered": 4, "cancelled": 12}
    assert [_count(cards, did) for did in ("authorised", "captured", "declined")] == [16, 12, 4]
    assert _count(cards, "repeated") >= 3  # more where the machine is busy, and an answer comes later than a second
    assert [_count(stock, did) for did in ("reserved", "rejected")] == [14, 2]
    assert [_count(parcels, did) for did in ("booked", "rejected")] == [12, 2]
    assert Counter(each["kind"] for each in mails) == MAILS
    assert _count(contacts, "entered") == 5
    await _viewed(shop, {each["order_id"]: each["state"] for each in ended})


async def _viewed(shop: Town, ended: dict[str, str]) -> None:
    """The view shows every order as it ended, each part of it, and each lead once in a history; each lead is scored."""
    await shop.until("order_view", "/history?type=stock.released", "history", lambda all_: len(all_) == 6)
    await shop.until("order_view", "/history?type=parcel.recalled", "history", lambda all_: len(all_) == 4)
    viewed = await shop.until(
        "order_view", "/orders", "orders", lambda all_: {each["order_id"]: each["state"] for each in all_} == ended
    )
    parts = Counter((each["state"], each["payment"], each["stock"], each["shipping"]) for each in viewed)
    assert parts == {
        ("shipped", "captured", "reserved", "shipped"): 4,
        ("delivered", "captured", "reserved", "delivered"): 4,
        ("cancelled", "refunded", "released", "recalled"): 4,
        ("cancelled", "voided", "released", "refused"): 2,
        ("cancelled", "voided", "rejected", "pending"): 2,
        ("cancelled", "declined", "pending", "pending"): 4,
    }
    leads = await shop.until("order_view", "/history?type=lead.scored", "history", lambda all_: len(all_) == 5)
    assert len({each["customer_id"] for each in leads}) == 5
    assert len(await shop.all("scoring", "/scores", "scores")) == 5


def _count(lines: list[Any], did: str) -> int:
    return sum(each["did"] == did for each in lines)

"""Made-up books: a small shop whose story is told here, so that each fault can be planted in it."""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.auditor.evidence import Evidence, Places

#: Seconds since 1970 of the first line.
START = 1_800_000_000.0
ORDERS = {"A": "confirmed", "B": "confirmed", "C": "cancelled", "D": "cancelled"}
LEADS = ("ada@example.com", "bob@example.com")


class Books:
    """A shop that did everything right: two confirmed orders, one declined, one out of stock, two leads, a letter."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.cards: list[dict[str, Any]] = []
        self.stock: list[dict[str, Any]] = []
        self.crm: list[dict[str, Any]] = []
        self.mails: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = [letter("L1", "handled", 1)]
        for name, state in ORDERS.items():
            self.posts.append(order_post(name))
            self.orders.append({"order_id": name, "state": state})
        for name in "ABD":
            self.card(name, "charged")
        self.card("C", "declined", status=402)
        self.card("D", "refunded", api="cards/refunds", status=200)
        for name in "AB":
            self.stock.append(stock_line(name, "reserved"))
            self.mails.append(mail("confirmation", f"{name}@example.com", f"order/{name}"))
        self.stock.append(stock_line("D", "rejected"))
        for email in LEADS:
            self.posts.append(lead_post(email))
            self.crm.append({"api": "crm/leads", "did": "entered", "request": {"email": email}})
            self.mails.append(mail("welcome", email, f"lead/{email}"))

    def card(
        self, order: str, did: str, *, api: str = "cards/charges", status: int = 201, at: float | None = None,
        took: float = 0.01,
    ) -> None:  # fmt: skip
        """One more line in the cards' books."""
        id = len(self.cards) + 1
        began = START + id if at is None else START + at
        line = {"id": id, "api": api, "did": did, "status": status, "began": began, "ended": began + took}
        self.cards.append({**line, "request": {"order_id": order}})

    def evidence(self) -> Evidence:
        """As the auditor gets it."""
        return Evidence(
            posts=tuple(self.posts),
            orders=tuple(self.orders),
            cards=tuple(self.cards),
            stock=tuple(self.stock),
            crm=tuple(self.crm),
            mails=tuple(self.mails),
            letters=tuple(self.letters),
        )


def letter(id: str, state: str, replays: int) -> dict[str, Any]:
    """A letter of the desk."""
    return {"id": id, "state": state, "replays": replays, "subscription": "notifications.welcome", "cause": "Down"}


def order_post(name: str, status: int = 202, order_id: str = "") -> dict[str, Any]:
    """A post of an order and its answer."""
    answer = {"order_id": order_id or name} if status == 202 else {}
    return {"kind": "order", "key": f"key-{name}", "email": f"{name}@example.com", "status": status, "answer": answer}


def lead_post(email: str, flow: str = "f") -> dict[str, Any]:
    """A post of a lead and its answer."""
    return {"kind": "lead", "key": f"key-{email}", "email": email, "status": 202, "answer": {"flow": flow}}


def stock_line(order: str, did: str) -> dict[str, Any]:
    """A line in the stock's books."""
    return {"api": "stock/reservations", "did": did, "request": {"order_id": order}}


def mail(kind: str, to: str, about: str) -> dict[str, Any]:
    """A mail that was sent."""
    return {"kind": kind, "to": to, "about": about}


@asynccontextmanager
async def served(books: Books, folder: Path, page: int = 3) -> AsyncIterator[Places]:
    """The books over HTTP, in pages of three, as the shop, the outside world and the desk give them."""

    def pages(rows: list[dict[str, Any]], field: str) -> Any:
        async def answer(request: web.Request) -> web.Response:
            after = int(request.query["after"])
            found = copy.deepcopy(rows[after : after + page])
            following = after + page if after + page < len(rows) else None
            return web.json_response({field: found, "next": following})

        return answer

    app = web.Application()
    app.router.add_get("/orders", pages(books.orders, "orders"))
    app.router.add_get("/mailbox", pages(books.mails, "mails"))
    app.router.add_get("/api/dead", pages(books.letters, "letters"))
    for target in ("cards", "stock", "crm"):
        app.router.add_get(f"/books/{target}", pages(getattr(books, target), "books"))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        posts = folder / "posts.jsonl"
        posts.write_text("".join(json.dumps(post) + "\n" for post in books.posts), encoding="utf-8")
        yield Places(url, url, url, posts)
    finally:
        await runner.cleanup()

"""Made-up books: a small shop whose story is told here, so that each fault can be planted in it."""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.auditor.evidence import Evidence, Places
from deploy.auditor.judging import TOO_LATE

#: Seconds since 1970 of the first line.
START = 1_800_000_000.0
#: How each order ended: two well, one declined, one out of stock, one not shipped in time, one returned.
ORDERS = {"A": "shipped", "B": "delivered", "C": "cancelled", "D": "cancelled", "E": "cancelled", "F": "cancelled"}
LEADS = ("ada@example.com", "bob@example.com")
#: Of whom a shop told by webhook, the newer edition first and twice; and whose signature nobody had made.
SHOPPER, FORGED = "cyd@example.com", "eve@example.com"
#: What the view shows of the parts of each order: payment, stock, shipping.
PARTS = {
    "A": ("captured", "reserved", "shipped"),
    "B": ("captured", "reserved", "delivered"),
    "C": ("declined", "pending", "pending"),
    "D": ("voided", "rejected", "pending"),
    "E": ("voided", "released", "pending"),
    "F": ("refunded", "released", "recalled"),
}
CENTS = 1000
#: The api of each thing that can be done, and the prefix of its keys: what gives back shares the act's.
APIS = {
    "authorised": ("cards/authorisations", "a"),
    "declined": ("cards/authorisations", "a"),
    "voided": ("cards/voids", "a"),
    "captured": ("cards/captures", "c"),
    "refunded": ("cards/refunds", "c"),
    "reserved": ("stock/reservations", "r"),
    "rejected": ("stock/reservations", "r"),
    "released": ("stock/releases", "r"),
    "booked": ("carrier/parcels", "p"),
    "recalled": ("carrier/recalls", "p"),
}
UNDOES = frozenset({"voided", "refunded", "released", "recalled"})
SYSTEMS = ("cards", "stock", "carrier", "crm", "mail")
SEEN = ("posts", "orders", "mails", "letters", "scores", "viewed", "lines")


class Books:
    """A shop that did everything right, for six orders and four leads, with one letter that was replayed."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.cards: list[dict[str, Any]] = []
        self.stock: list[dict[str, Any]] = []
        self.carrier: list[dict[str, Any]] = []
        self.crm: list[dict[str, Any]] = []
        self.mail: list[dict[str, Any]] = []
        self.mails: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = [letter("L1", "handled", 1)]
        self.scores: list[dict[str, Any]] = []
        self.viewed: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        for name, state in ORDERS.items():
            self.posts.append(order_post(name))
            reason = TOO_LATE if name == "E" else ""
            order = {"order_id": name, "state": state, "total_cents": CENTS, "reason": reason}
            self.orders.append(order)
            self.viewed.append(order | dict(zip(("payment", "stock", "shipping"), PARTS[name], strict=True)))
            last = "confirmation" if state != "cancelled" else "cancellation" if name == "F" else "apology"
            self.mails.append(sent(last, f"order/{name}"))
        self.line("C", "declined", status=402)
        for name in "ABDEF":
            self.line(name, "authorised")
        for name in "ABEF":
            self.line(name, "reserved")
        self.line("D", "rejected", status=409)
        for name in "ABF":
            self.line(name, "booked")
            self.line(name, "captured")
        self.posts += [asked("delivery", "B"), asked("delivery", "F"), asked("cancellation", "F")]
        self.mails.append(sent("confirmation", "order/F"))
        for name, given_back in (("D", "voided"), ("E", "voided"), ("E", "released")):
            self.line(name, given_back, status=200)
        for given_back in ("refunded", "released", "recalled"):
            self.line("F", given_back, status=200)
        for email in LEADS:
            self.posts.append(lead_post(email))
            self.arrived(email, f"key-{email}")
            self.scored(email, f"key-{email}")
        for edition in (2, 2, 1):
            self.posts.append(webhook(SHOPPER, edition))
        for edition in (2, 1):
            self.arrived(SHOPPER, f"{SHOPPER}-{edition}")
        self.scored(SHOPPER, f"{SHOPPER}-2")
        self.posts.append(webhook(FORGED, 1, status=401, signed="not"))

    def line(
        self, order: str, did: str, *, again: str = "", status: int = 201, cents: int = CENTS, at: float | None = None,
        took: float = 0.01, api: str = "", fault: str = "",
    ) -> None:  # fmt: skip
        """One more line in the books; `again`: under another key than the order's first one."""
        its_api, prefix = (api, "") if api else APIS[did]
        books: list[dict[str, Any]] = getattr(self, its_api.partition("/")[0])
        key = f"{prefix}-{order}{again}"
        request: dict[str, Any] = {"order_id": order}
        answer: dict[str, Any] = {"id": f"id-{key}"}
        if did == "captured":
            request |= {"total_cents": cents, "authorisation_id": f"id-a-{order}"}
        if did == "refunded":
            answer |= {"refunded_cents": cents}
        began = START + len(books) + 1 if at is None else START + at
        keys = {"key": f"un{key}", "original": key} if did in UNDOES else {"key": key, "original": ""}
        books.append(
            {"id": len(books) + 1, "api": its_api, "did": did, "status": status, "began": began, "ended": began + took}
            | {"request": request, "answer": answer, "fault": fault, **keys}
        )

    def failures(self, system: str, seconds: range) -> None:
        """Requests that were answered 500 at these seconds."""
        for second in seconds:
            self.line("C", "none", api=f"{system}/any", status=500, at=second)

    def arrived(self, email: str, delivery: str) -> None:
        """One lead went wherever leads go."""
        self.entered(email, delivery)
        self.mails.append(sent("welcome", f"lead/{email}", email, delivery))
        self.seen(delivery)

    def entered(self, email: str, delivery: str) -> None:
        """One more lead at the CRM."""
        began = START + len(self.crm)
        line = {"id": len(self.crm) + 1, "api": "crm/leads", "did": "entered", "status": 201, "key": f"l-{delivery}"}
        request = {"email": email, "delivery": delivery}
        self.crm.append({**line, "began": began, "ended": began + 0.01, "request": request})

    def seen(self, delivery: str) -> None:
        """One more line in a customer's history."""
        self.lines.append({"type": "lead.captured", "delivery": delivery})

    def scored(self, email: str, delivery: str) -> None:
        """The score of a person."""
        self.scores.append({"lead": f"lead/~{email[:3]}", "delivery": delivery})

    def without(self, system: str, did: str, order: str) -> None:
        """Strike the lines that did this for the order."""
        books: list[dict[str, Any]] = getattr(self, system)
        books[:] = [line for line in books if (line["did"], line["request"]["order_id"]) != (did, order)]

    def state(self, order: str, state: str) -> None:
        """Let both sides of the shop say something else of an order."""
        for rows in (self.orders, self.viewed):
            next(each for each in rows if each["order_id"] == order)["state"] = state

    def view(self, order: str, **shown: str) -> None:
        """Let the read side alone say something else of it."""
        next(each for each in self.viewed if each["order_id"] == order).update(shown)

    def evidence(self) -> Evidence:
        """As the auditor gets it."""
        told = {name: tuple(getattr(self, name)) for name in (*SYSTEMS, *SEEN)}
        return Evidence(**told)


def letter(id: str, state: str, replays: int) -> dict[str, Any]:
    """A letter of the desk."""
    return {"id": id, "state": state, "replays": replays, "subscription": "notifications.welcome", "cause": "Down"}


def order_post(name: str, status: int = 202, order_id: str = "") -> dict[str, Any]:
    """A post of an order and its answer."""
    answer = {"order_id": order_id or name} if status == 202 else {}
    return {"kind": "order", "key": f"key-{name}", "email": f"{name}@example.com", "status": status, "answer": answer}


def asked(kind: str, name: str, status: int = 202) -> dict[str, Any]:
    """A cancellation or a delivery of an order that was posted, and its answer."""
    return {"kind": kind, "key": name, "order_id": name, "email": "", "status": status, "answer": {}}


def lead_post(email: str, flow: str = "f") -> dict[str, Any]:
    """A post of a lead and its answer."""
    return {"kind": "lead", "key": f"key-{email}", "email": email, "status": 202, "answer": {"flow": flow}}


def webhook(email: str, edition: int, status: int = 202, signed: str = "well") -> dict[str, Any]:
    """A webhook about a person, and its answer; a higher edition is the newer one."""
    answer = {"flow": f"f{edition}"} if status == 202 else {}
    moment = f"2026-01-01T00:0{edition}:00+00:00"
    about = {"email": email, "updated_at": moment, "sender": "shop", "signed": signed}
    return {"kind": "webhook", "key": f"{email}-{edition}", "status": status, "answer": answer, **about}


def sent(kind: str, about: str, to: str = "somebody@example.com", delivery: str = "") -> dict[str, Any]:
    """A mail that was sent."""
    return {"kind": kind, "to": to, "about": about, "delivery": delivery}


@asynccontextmanager
async def served(books: Books, folder: Path, page: int = 3) -> AsyncIterator[Places]:
    """The books over HTTP, in pages of three, as the shop, the outside world and the desk give them."""

    def pages(rows: list[dict[str, Any]], field: str, by: str = "after") -> Any:
        async def answer(request: web.Request) -> web.Response:
            after = int(request.query[by].removeprefix("at-") or 0)
            found = copy.deepcopy(rows[after : after + page])
            following: object = after + page if after + page < len(rows) else None
            if by == "cursor" and following is not None:
                following = f"at-{following}"
            return web.json_response({field: found, "next": following})

        return answer

    app = web.Application()
    app.router.add_get("/orders", pages(books.orders, "orders"))
    app.router.add_get("/mailbox", pages(books.mails, "mails"))
    app.router.add_get("/api/dead", pages(books.letters, "letters"))
    app.router.add_get("/scores", pages(books.scores, "scores"))
    app.router.add_get("/view/orders", pages(books.viewed, "orders", "cursor"))
    app.router.add_get("/view/history", pages(books.lines, "history", "cursor"))
    for target in SYSTEMS:
        app.router.add_get(f"/books/{target}", pages(getattr(books, target), "books"))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        posts = folder / "posts.jsonl"
        posts.write_text("".join(json.dumps(post) + "\n" for post in books.posts), encoding="utf-8")
        yield Places(url, url, url, url, f"{url}/view", posts)
    finally:
        await runner.cleanup()

"""Facts of a small shop, made by hand after docs/wire.md: what was said, how attempts ended, what is declared."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hocket.clock import rfc3339
from hocket.console.facts import Manifest, Receipt, reported
from hocket.envelope import Envelope
from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.expectations import expectations
from services.tracer.fold.flow import Flow, fold
from services.tracer.read.decode import said_of
from services.tracer.read.facts import Said

START = datetime(2026, 11, 24, 14, 5, 0, tzinfo=UTC)


def uuid(number: int) -> str:
    """A stable id."""
    return str(UUID(int=0x0199C2F5_03BE_7000_8000_000000000000 + number))


def subscription(name: str, hears: Sequence[str] = (), says: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """One subscription of a manifest; all events are version 1."""
    return {"name": name, "hears": [[each, 1] for each in hears], "says": [[each, 1] for each in says], **more}


def manifest(service: str, owner: str, *subscriptions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A manifest from before the story."""
    return {
        "kind": "manifest", "service": service, "owner": owner, "instance": f"{service}-1", "boot": uuid(900),
        "time": rfc3339(START - timedelta(minutes=5)), "subscriptions": list(subscriptions), **more,
    }  # fmt: skip


MANIFESTS = [
    manifest(
        "orders", "team-shop",
        subscription("orders.confirm", ["stock.reserved"], ["order.confirmed"]),
        subscription("orders.cancel", ["stock.rejected", "payment.declined"], ["order.cancelled"]),
        says=[["order.placed", 1]],
        sensitive={"order.placed/1": ["email", "card"], "order.confirmed/1": ["email"]},
    ),
    manifest(
        "payments", "team-money",
        subscription("payments.charge", ["order.placed"], ["payment.charged", "payment.declined"], breaker="card-api"),
        subscription(
            "payments.refund", ["order.placed"], ["payment.refunded"], undo_of="payments.charge",
            why=[["stock.rejected", 1]],
        ),
    ),
    manifest(
        "inventory", "team-stock",
        subscription("inventory.reserve", ["payment.charged"], ["stock.reserved", "stock.rejected"]),
    ),
    manifest(
        "notifications", "team-care",
        subscription("notifications.confirmation", ["order.confirmed"]),
        subscription("notifications.apology", ["order.cancelled"]),
    ),
]  # fmt: skip


def expected() -> Any:
    """Who is expected to hear what, by the manifests above."""
    found = [Manifest.model_validate(each) for each in MANIFESTS]
    return expectations((each, each.time) for each in found)


@dataclass
class Story:
    """One flow, told step by step; times are seconds after `START`."""

    number: int
    subject: str = ""
    start: datetime = START
    envelopes: list[Envelope] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.subject = self.subject or f"order/{self.number}"
        self.flow = uuid(self.number * 1000)

    def at(self, seconds: float) -> datetime:
        """A moment of the story."""
        return self.start + timedelta(seconds=seconds)

    def id(self, name: str) -> str:
        """The id of an event by its name."""
        return self.ids.setdefault(name, uuid(self.number * 1000 + len(self.ids) + 1))

    def say(self, service: str, type: str, at: float, cause: str = "", **data: Any) -> "Story":
        """An event is said."""
        envelope = Envelope(
            id=self.id(type), source=f"/{service}", type=type, version=1, subject=self.subject, time=self.at(at),
            correlation_id=self.flow, idempotency_key=self.id(type), data=data or {"order_id": str(self.number)},
            causation_id=self.id(cause) if cause else "",
        )  # fmt: skip
        self.envelopes.append(envelope)
        return self

    def end(
        self, name: str, heard: str, outcome: str, began: float, ended: float, attempt: int = 1, said: str = "",
        next_at: float | None = None, **more: Any,
    ) -> "Story":  # fmt: skip
        """An attempt ended; `heard` and `said` name events."""
        service = name.partition(".")[0]
        source = f"/{service}" if heard == "hocket.undo" else "/orders"
        known = next((each for each in self.envelopes if each.type == heard), None)
        fact = {
            "kind": "receipt", "service": service, "instance": f"{service}-1a2b3c", "boot": uuid(901),
            "subscription": name, "subject": self.subject, "correlationid": self.flow, "attempt": attempt,
            "event": {
                "id": self.id(heard), "source": known.source if known else source, "type": heard, "version": 1,
            },
            "outcome": outcome, "began": rfc3339(self.at(began)), "ended": rfc3339(self.at(ended)),
            "time": rfc3339(self.at(ended)), "said": [self.id(each) for each in said.split()],
            "next_at": None if next_at is None else rfc3339(self.at(next_at)), "death": None, "cause": "",
            "error": "", "ledger": None, "step": None, "replay": None, **more,
        }  # fmt: skip
        self.receipts.append(fact)
        return self

    @property
    def said(self) -> list[Said]:
        """The events as the tracer's facts."""
        return [said_of(each) for each in self.envelopes]

    @property
    def told(self) -> list[Receipt]:
        """The receipts as the tracer's facts."""
        found = [reported(each) for each in self.receipts]
        return [each for each in found if isinstance(each, Receipt)]

    def until(self, seconds: float) -> "Story":
        """The same story, told only so far."""
        end = self.at(seconds)
        return replace(
            self,
            envelopes=[each for each in self.envelopes if each.time <= end],
            receipts=[each for each in self.receipts if datetime.fromisoformat(each["time"]) <= end],
            ids=dict(self.ids),
        )


STEP: dict[str, Any] = {"step": "payments.charge"}


def placed(number: int, start: datetime = START) -> Story:
    """An order was placed."""
    return Story(number, start=start).say(
        "orders", "order.placed", 0, order_id=str(number), email="ada@example.com", card="tok_1", sku="tea", quantity=2
    )


def happy(number: int, start: datetime = START) -> Story:
    """An order that ends confirmed; the first charge times out."""
    told = placed(number, start)
    told.end(
        "payments.charge", "order.placed", "retry", 0.03, 1.03, cause="timeout", error="TimeoutError: POST /charges",
        next_at=2.0, ledger="begun", **STEP,
    )  # fmt: skip
    told.say("payments", "payment.charged", 2.3, "order.placed")
    told.end("payments.charge", "order.placed", "handled", 2.0, 2.3, 2, "payment.charged", ledger="done", **STEP)
    told.say("inventory", "stock.reserved", 2.7, "payment.charged")
    told.end("inventory.reserve", "payment.charged", "handled", 2.4, 2.7, 1, "stock.reserved")
    told.say("orders", "order.confirmed", 2.9, "stock.reserved")
    told.end("orders.confirm", "stock.reserved", "handled", 2.8, 2.9, 1, "order.confirmed")
    return told.end("notifications.confirmation", "order.confirmed", "handled", 3.0, 3.2)


def rejected(number: int, start: datetime = START, undo: str = "handled") -> Story:
    """An order whose goods cannot be had: the charge is undone, or its undo dies."""
    told = placed(number, start).say("payments", "payment.charged", 0.4, "order.placed")
    told.end("payments.charge", "order.placed", "handled", 0.05, 0.4, 1, "payment.charged", ledger="done", **STEP)
    told.say("inventory", "stock.rejected", 0.9, "payment.charged")
    told.end("inventory.reserve", "payment.charged", "handled", 0.45, 0.9, 1, "stock.rejected")
    told.say("orders", "order.cancelled", 1.1, "stock.rejected")
    told.end("orders.cancel", "stock.rejected", "handled", 0.95, 1.1, 1, "order.cancelled")
    told.end("payments.refund", "stock.rejected", "handled", 0.96, 0.98, 1, "hocket.undo", ledger="undoing", **STEP)
    told.end("notifications.apology", "order.cancelled", "handled", 1.2, 1.5)
    if undo == "dead":
        error = "CardsDown: 503 from /refunds"
        told.end(
            "payments.refund", "hocket.undo", "retry", 1.0, 1.4, 1, error=error, next_at=30.0, ledger="undoing", **STEP
        )
        return told.end(
            "payments.refund", "hocket.undo", "dead", 30.0, 30.4, 2, cause="CardsDown", error=error, ledger="undoing",
            death=uuid(number * 1000 + 999), **STEP,
        )  # fmt: skip
    told.say("payments", "payment.refunded", 12.4, "hocket.undo")
    return told.end(
        "payments.refund", "hocket.undo", "handled", 12.0, 12.4, 1, "payment.refunded", ledger="undone", **STEP
    )


def mail_dead(number: int, start: datetime = START) -> Story:
    """A confirmed order whose mail was given up."""
    told = happy(number, start)
    told.receipts.pop()
    error = "MailDown: 500 from /messages"
    for attempt, (began, next_at) in enumerate([(3.0, 4.1), (4.1, 8.0)], 1):
        told.end(
            "notifications.confirmation", "order.confirmed", "retry", began, began + 0.2, attempt, cause="MailDown",
            error=error, next_at=next_at,
        )  # fmt: skip
    return told.end(
        "notifications.confirmation", "order.confirmed", "dead", 8.0, 8.2, 3, cause="MailDown", error=error,
        death=uuid(number * 1000 + 998),
    )  # fmt: skip


def folded(story: Story) -> Flow:
    """A story's flow."""
    return fold(story.flow, story.said, story.told, expected())


def known() -> Knowledge:
    """What the tracer knows by the manifests above, all seen at the start."""
    found = [(Manifest.model_validate(each), START) for each in MANIFESTS]
    return Knowledge(found, expectations(found))

"""Stories of the shop about time-outs, breakers and other flows, made by hand after docs/wire.md."""

from datetime import datetime, timedelta
from typing import Any

from hocket.clock import rfc3339
from hocket.envelope import OVERDUE_TYPE
from tests.services.tracer.sample_facts import START, Story, manifest, subscription

#: The time-out of the shop: nothing was shipped within half a minute.
WITHIN = 30.0
#: What becomes of a late answer.
LATE: dict[str, Any] = {"as": "undone"}
UNLESS = ("parcel.shipped", "order.cancelled")

SHOP = [
    manifest(
        "orders", "team-shop",
        subscription(
            "orders.unshipped", ["order.placed", *UNLESS], ["order.cancelled"],
            overdue={"within": WITHIN, "unless": [[each, 1] for each in UNLESS], "across": True, "late": "undone"},
        ),
        says=[["order.placed", 1], ["order.cancelled", 1]],
        sensitive={"order.placed/1": ["email"]},
    ),
    manifest(
        "payments", "team-money",
        subscription("payments.authorise", ["order.placed"], ["payment.authorised"], breaker="card-api", budget=300),
        subscription(
            "payments.void", ["order.placed"], ["payment.voided"], undo_of="payments.authorise",
            why=[["order.cancelled", 1]], breaker="card-api", budget=300,
        ),
    ),
    manifest(
        "shipping", "team-post",
        subscription("shipping.ship", ["payment.authorised"], ["parcel.shipped"], breaker="carrier-api", budget=300),
    ),
]  # fmt: skip


def timer(story: Story, state: str, n: int = 1, **more: Any) -> dict[str, Any]:
    """What a receipt says of the time-out of this story's order."""
    return {"timer": {"state": state, "n": n, "run": f"run{story.number}", "scope": f'["{story.number}"]', **more}}


def placed(number: int, start: datetime = START) -> Story:
    """An order was placed; its time-out is armed."""
    told = Story(number, start=start).say("orders", "order.placed", 0, order_id=str(number), email="ada@example.com")
    due = rfc3339(told.at(0.1 + WITHIN))
    return told.end("orders.unshipped", "order.placed", "handled", 0.05, 0.1, **timer(told, "armed", due=due))


def authorised(number: int, start: datetime = START) -> Story:
    """The card was authorised at once."""
    told = placed(number, start).say("payments", "payment.authorised", 0.4, "order.placed")
    return told.end(
        "payments.authorise", "order.placed", "handled", 0.1, 0.4, 1, "payment.authorised", step="payments.authorise",
        ledger="done", run=f"card{number}",
    )  # fmt: skip


def shipped(number: int, start: datetime = START) -> Story:
    """The parcel goes in time."""
    told = authorised(number, start).say("shipping", "parcel.shipped", 4.0, "payment.authorised")
    told.end("shipping.ship", "payment.authorised", "handled", 0.5, 4.0, 1, "parcel.shipped")
    return told.end("orders.unshipped", "parcel.shipped", "handled", 4.1, 4.2, **timer(told, "met"))


def waiting_for_carrier(number: int, start: datetime = START) -> Story:
    """The carrier is ill: the first attempt was deferred."""
    told = authorised(number, start)
    return told.end(
        "shipping.ship", "payment.authorised", "deferred", 0.5, 2.5, cause="ClientResponseError",
        error="ClientResponseError: 503", next_at=32.5,
    )  # fmt: skip


def fired(number: int, start: datetime = START, late: bool = False, undo: str = "handled") -> Story:
    """Nothing was shipped in time: the time-out cancels the order; with `late` the parcel goes all the same."""
    told = waiting_for_carrier(number, start).say("orders", "order.cancelled", 30.6, OVERDUE_TYPE, reason="unshipped")
    due = rfc3339(told.at(0.1 + WITHIN))
    told.end(
        "orders.unshipped", OVERDUE_TYPE, "handled", 30.3, 30.6, 1, "order.cancelled", **timer(told, "fired", due=due)
    )
    told.end("orders.unshipped", "order.cancelled", "handled", 30.7, 30.8, **timer(told, "fired", own=True))
    step: dict[str, Any] = {"step": "payments.authorise", "run": f"card{number}"}
    told.end(
        "payments.void", "order.cancelled", "handled", 30.7, 30.8, 1, "hocket.undo", ledger="undoing",
        reached=[told.flow], **step,
    )  # fmt: skip
    if undo == "dead":
        for attempt, (at, word) in enumerate([(31.0, "retry"), (40.0, "dead")], 1):
            told.end(
                "payments.void", "hocket.undo", word, at, at + 2, attempt, ledger="undoing", cause="CardsDown",
                error="CardsDown: 503 from /cards/voids", next_at=40.0 if word == "retry" else None,
                death=told.id("letter") if word == "dead" else None, **step,
            )  # fmt: skip
    else:
        told.say("payments", "payment.voided", 31.4, "hocket.undo")
        told.end("payments.void", "hocket.undo", "handled", 31.0, 31.4, 1, "payment.voided", ledger="undone", **step)
    if late:
        told.say("shipping", "parcel.shipped", 45.0, "payment.authorised")
        told.end("shipping.ship", "payment.authorised", "handled", 44.0, 45.0, 1, "parcel.shipped")
        told.end(
            "orders.unshipped",
            "parcel.shipped",
            "handled",
            45.1,
            45.2,
            **timer(told, "fired", late=15.1, **LATE),
        )
    return told


def cancelled_elsewhere(number: int, of: Story, after: float = 8.0) -> Story:
    """The customer cancels `of` in a flow of its own: it meets the time-out and reaches the step of that flow."""
    start = of.at(after)
    told = Story(number, subject=of.subject, start=start)
    told.say("orders", "order.cancelled", 0, by="customer")
    told.end("orders.unshipped", "order.cancelled", "handled", 0.1, 0.2, **timer(of, "met", flow=of.flow))
    return told.end(
        "payments.void", "order.cancelled", "handled", 0.1, 0.3, 1, "hocket.undo", ledger="undoing",
        reached=[of.flow], step="payments.authorise", run=f"card{of.number}",
    )  # fmt: skip


def undone_by(of: Story, cause: Story) -> Story:
    """The undo that `cause` ordered, handled in the flow of the step."""
    of.ids["hocket.undo"] = cause.id("hocket.undo")
    at = (cause.start - of.start).total_seconds() + 0.5
    of.say("payments", "payment.voided", at + 0.4, "hocket.undo")
    return of.end(
        "payments.void", "hocket.undo", "handled", at, at + 0.4, 1, "payment.voided", ledger="undone",
        step="payments.authorise", run=f"card{of.number}",
    )  # fmt: skip


def unreached(number: int, start: datetime = START) -> Story:
    """An order of which nothing is known is cancelled: the failure finds no run."""
    told = Story(number, start=start).say("orders", "order.cancelled", 0, by="customer")
    told.end("orders.unshipped", "order.cancelled", "handled", 0.1, 0.2, **timer(told, "mark", 0))
    return told.end(
        "payments.void", "order.cancelled", "handled", 0.1, 0.2, ledger="tombstone", step="payments.authorise",
        reached="none", run=f"card{number}",
    )  # fmt: skip


def change(name: str, service: str, was: str, state: str, at: datetime, version: int, **more: Any) -> dict[str, Any]:
    """A breaker has changed."""
    return {
        "kind": "breaker", "service": service, "name": name, "was": was, "state": state, "version": version,
        "time": rfc3339(at), "by": "", "untold": 0, **more,
    }  # fmt: skip


def carrier_ill(start: datetime, now: datetime) -> list[dict[str, Any]]:
    """The carrier's breaker opens, is tried, and is open again."""
    reason = "5 failures in a row, the last by ClientResponseError (503)"
    first, again = start + timedelta(seconds=2), start + timedelta(seconds=20)
    return [
        change("carrier-api", "shipping", "closed", "open", first, 1, reason=reason, until=rfc3339(again)),
        change("carrier-api", "shipping", "open", "half-open", again, 2, reason="the period is over"),
        change(
            "carrier-api", "shipping", "half-open", "open", again + timedelta(seconds=1), 3,
            reason="1 of 1 probes failed, the last by TimeoutError", until=rfc3339(now + timedelta(seconds=22)),
        ),
    ]  # fmt: skip

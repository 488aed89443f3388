"""RULES 16 through whole services: drift is counted, told, and kept out where that is asked for."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from hocket import Event, Heard, Retry, Service, Tx
from hocket.broker.port import Message
from hocket.broker.topology import EVENTS
from hocket.console.drift_facts import Drifted
from hocket.envelope import CONTENT_TYPE
from hocket.errors import DeclarationError
from tests.hocket.sample_services import FLOW, LONG, Processes, World, until, uses


class PaidV1(Heard, type="order.paid"):
    order_id: str
    cents: int = 0


class Paid(Heard, type="order.paid", version=2):
    order_id: str
    cents: int
    currency: str = "EUR"
    note: str | None = None


class Booked(Event, type="order.booked", subject="order/{order_id}"):
    order_id: str


class Unbooked(Event, type="order.unbooked", subject="order/{order_id}"):
    order_id: str


class Returned(Heard, type="order.returned"):
    order_id: str


ledgers = Service("ledgers", owner="team-money", uses=uses)


@ledgers.handler(drift="quarantine")
async def book(paid: Paid, tx: Tx[World]) -> None:
    tx.use.keys.append(f"book {paid.order_id} {tx.replaying}")


@ledgers.handler(drift="accept")
async def count(paid: Paid, tx: Tx[World]) -> None:
    tx.use.keys.append(f"count {paid.order_id}")


@ledgers.handler
async def look(paid: Paid, tx: Tx[World]) -> None:
    tx.use.keys.append(f"look {paid.order_id}")


@ledgers.handler(drift="quarantine")
async def settle(paid: Paid, tx: Tx[World]) -> Booked:
    tx.use.keys.append(f"settle {paid.order_id}")
    return Booked(order_id=paid.order_id)


@ledgers.undo(settle, Booked, by="order_id")
async def unsettle(paid: Paid, did: Booked | None, why: Returned, tx: Tx[World]) -> Unbooked:
    tx.use.undone.append((paid.order_id, did is not None, "", ""))
    return Unbooked(order_id=paid.order_id)


@ledgers.upcast
def paid_1_to_2(old: PaidV1) -> Paid:
    return Paid(order_id=old.order_id, cents=old.cents)


def body(id: str, *, version: int = 2, source: str = "/shop", **data: Any) -> Message:
    """An event as any publisher may write it."""
    whole = {
        "specversion": "1.0", "id": id, "source": source, "type": "order.paid", "correlationid": FLOW,
        "dataschema": f"urn:hocket:order.paid:{version}", "data": {"order_id": id, **data},
    }  # fmt: skip
    return Message(EVENTS, f"order.paid.v{version}", json.dumps(whole).encode(), CONTENT_TYPE)


def told(tower: Processes, name: str) -> list[Drifted]:
    """The facts about one subscription."""
    every = [fact for each in tower.broker.messages("hocket.receipts") for fact in json.loads(each.body)]
    drifted = [Drifted.model_validate(each) for each in every if each["kind"] == "drift"]
    return [each for each in drifted if each.subscription == name]


FINE: dict[str, Any] = {"cents": 100, "currency": "EUR", "note": "n"}


async def test_drift_is_told_each_minute_and_at_a_stop(tower: Processes) -> None:
    """RULES 16.3: counts by path and kind with the first and last event; the last ones before the process ends."""
    await tower.start(ledgers.using(World()))
    await tower.quiet()
    await tower.post.publish([body("a", **FINE), body("b", **FINE, tags=["secret"])])
    await tower.quiet()
    assert told(tower, "ledgers.look") == []
    await asyncio.sleep(61)
    [fact] = told(tower, "ledgers.look")
    assert (fact.source, fact.type, fact.version, fact.events, fact.mode) == ("/shop", "order.paid", 2, 2, "warn")
    [path] = fact.paths
    assert (path.path, path.kind, path.many, path.first.id, path.last.id) == ("tags", "unknown", 1, "b", "b")
    assert "secret" not in fact.model_dump_json()
    await tower.post.publish([body("c", **FINE, tags=1)])
    await tower.quiet()
    await tower.stop("ledgers")
    assert told(tower, "ledgers.look")[-1].paths[0].many == 2
    assert told(tower, "ledgers.count")[-1].mode == "accept"


async def test_what_could_not_be_told_is_told_later(tower: Processes) -> None:
    """RULES 16.3: without a link nothing is lost: counts only grow."""
    await tower.start(ledgers.using(World()))
    await tower.quiet()
    await asyncio.sleep(5)
    await tower.post.publish([body("a", **FINE, tags=1)])
    await tower.quiet()
    tower.broker.cut("ledgers", heal=False)
    await asyncio.sleep(120)
    assert told(tower, "ledgers.look") == []
    tower.broker.reconnect("ledgers")
    await until(lambda: bool(told(tower, "ledgers.look")))
    assert told(tower, "ledgers.look")[0].paths[0].many == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({**FINE, "cents": "100"}, "cents is of another type"),
        ({"cents": 100, "note": "n"}, "currency is missing"),
    ],
)
async def test_what_differs_is_kept_out_and_a_replay_let_in(tower: Processes, data: dict[str, Any], why: str) -> None:
    """RULES 16.4: buried before the run, cause `drift`, for every event, however often it came; its replay runs."""
    world = World()
    worker = await tower.start(ledgers.using(world))
    await tower.post.publish([body(f"fine{n}", **FINE) for n in range(3)])
    await tower.post.publish([body("odd", **data)] * 2)
    await tower.advance(LONG)
    letters = [each for each in tower.letters() if each.headers["hocket-death-subscription"] == "ledgers.book"]
    [letter] = letters
    assert letter.headers["hocket-death-cause"] == "drift"
    assert why in str(letter.headers["hocket-death-error"])
    assert letter.headers["hocket-death-spoke"] == 0
    assert "book odd" not in str(world.keys)
    assert {"count odd", "look odd"} <= set(world.keys)
    await worker.send("ledgers.book", letter.body, letter.content_type, replay="r1", attempt=2)
    await tower.advance(LONG)
    assert world.keys.count("book odd True") == 1
    assert [each["outcome"] for each in tower.receipts() if each["subscription"] == "ledgers.book"][-1] == "handled"


async def test_additive_change_and_what_is_allowed_keep_nothing_out(tower: Processes) -> None:
    """RULES 16.4, 10.1: an unknown field, and null or nothing where the annotation allows None."""
    world = World()
    await tower.start(ledgers.using(world))
    await tower.post.publish(
        [body("new", **FINE, tags=1), body("null", **{**FINE, "note": None}), body("bare", cents=1, currency="EUR")]
    )
    await tower.advance(LONG)
    booked = {each for each in world.keys if each.startswith("book")}
    assert booked == {"book new False", "book null False", "book bare False"}
    assert tower.letters() == []


async def test_a_step_that_is_kept_out_has_not_begun(tower: Processes) -> None:
    """RULES 16.4: nothing is undone of it; after a replay it is a run like any."""
    world = World()
    worker = await tower.start(ledgers.using(world))
    await tower.post.publish([body("odd", **{**FINE, "cents": "100"})])
    await tower.advance(LONG)
    [letter] = [each for each in tower.letters() if each.headers["hocket-death-subscription"] == "ledgers.settle"]
    assert "settle odd" not in world.keys
    assert not any(each["ledger"] for each in tower.receipts() if each["subscription"] == "ledgers.settle")
    await worker.send("ledgers.settle", letter.body, letter.content_type, replay="r1", attempt=2)
    await tower.advance(LONG)
    assert "settle odd" in world.keys
    assert [each.type for each in tower.log() if each.type == "order.booked"] == ["order.booked"]


async def test_an_older_version_is_compared_as_it_came(tower: Processes) -> None:
    """RULES 16.1: with the model of its version, not with what an upcast makes of it; foreign events too."""
    world = World()
    await tower.start(ledgers.using(world))
    await tower.quiet()
    await tower.post.publish(
        [
            body("old", version=1, cents=5),
            body("odd", version=1, cents="5"),
            body("far", source="shopify.example", **FINE),
        ]
    )
    await tower.advance(LONG)
    assert [each for each in world.keys if each.startswith("book")] == ["book old False", "book far False"]
    await asyncio.sleep(61)
    assert {(each.source, each.version, each.events) for each in told(tower, "ledgers.look")} == {
        ("/shop", 1, 2), ("shopify.example", 2, 1),
    }  # fmt: skip


async def test_invalid_data_is_looked_at_and_buried_as_ever(tower: Processes) -> None:
    """RULES 16.1: what breaks the model is `invalid`; the page says which field."""
    await tower.start(ledgers.using(World()))
    await tower.quiet()
    await tower.post.publish([body("a", **FINE), body("b", **{**FINE, "cents": "no number"})])
    await tower.advance(LONG)
    assert {each.headers["hocket-death-cause"] for each in tower.letters()} == {"invalid"}
    await asyncio.sleep(61)
    assert [(each.path, each.kind) for each in told(tower, "ledgers.look")[-1].paths] == [("cents", "type")]


async def test_a_later_attempt_is_not_counted_again(tower: Processes) -> None:
    """RULES 16.3: how often a path came is how many events had it."""
    world = World()
    retried = Service("retried", owner="team-money", uses=uses)

    @retried.handler
    async def twice(paid: Paid, tx: Tx[World]) -> None:
        tx.use.attempts.append(tx.attempt)
        if tx.attempt < 3:
            raise ValueError("not yet")

    await tower.start(retried.using(world))
    await tower.post.publish([body("a", **FINE, tags=1)])
    await tower.advance(LONG)
    await asyncio.sleep(61)
    assert world.attempts == [1, 2, 3]
    assert {(each.events, each.paths[0].many) for each in told(tower, "retried.twice")} == {(1, 1)}


async def test_quarantine_holds_what_was_tried_before_it_was_asked_for(tower: Processes) -> None:
    """RULES 16.4: a delivery that waits in the inbox for its next attempt is judged when that comes."""
    world = World()

    def declared(**options: Any) -> Service[World]:
        service = Service("later", owner="team-money", uses=uses)

        @service.handler(retry=Retry(retries=3, first=timedelta(minutes=1), longest=timedelta(minutes=1)), **options)
        async def book(paid: Paid, tx: Tx[World]) -> None:
            tx.use.attempts.append(tx.attempt)
            raise ValueError("not yet")

        return service

    await tower.start(declared().using(world))
    await tower.post.publish([body("odd", **{**FINE, "cents": "100"})])
    await tower.quiet()
    await tower.stop("later")
    await tower.start(declared(drift="quarantine").using(world))
    await tower.advance(LONG)
    assert world.attempts == [1]
    assert [each.headers["hocket-death-cause"] for each in tower.letters()] == ["drift"]


def test_what_nobody_can_mean_is_refused() -> None:
    """RULES 16.4: an unknown word; and an undo that would keep a failure out."""
    wrong = Service("wrong", owner="team-money", uses=uses)

    async def handle(paid: Paid, tx: Tx[World]) -> None: ...

    with pytest.raises(DeclarationError, match="drift='ignore' is unknown; give 'accept', 'warn', 'quarantine'"):
        wrong.handler(handle, drift="ignore")  # type: ignore[call-overload]

    @wrong.handler
    async def step(paid: Paid, tx: Tx[World]) -> Booked:
        return Booked(order_id=paid.order_id)

    async def undo(paid: Paid, did: Booked | None, why: Returned, tx: Tx[World]) -> None: ...

    with pytest.raises(DeclarationError, match="would keep a failure from being undone"):
        wrong.undo(step, Booked, by="order_id", drift="quarantine")(undo)  # type: ignore[call-overload]
    with pytest.raises(DeclarationError, match="would keep an answer from its time-out"):
        wrong.overdue(timedelta(days=1), unless=Returned, drift="quarantine")(handle)

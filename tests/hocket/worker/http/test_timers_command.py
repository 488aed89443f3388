"""`hocket timers` on a store: what is shown, cancelled and moved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket.broker.port import Message
from hocket.clock import SystemClock
from hocket.envelope import OVERDUE_TYPE, Envelope, Json, encode
from hocket.saga.overdue import TimerRow, TimerState
from hocket.store.port import CrashableStore
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, OutboxRow, RowKind
from hocket.store.sqlite.store import SqliteStore
from hocket.worker.http.operator import CommandRefused
from hocket.worker.http.timers_command import TimersCommand

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = b"r" * 20


def alarm(subject: str) -> bytes:
    """The body of an alarm about this subject."""
    armed: Json = {"type": "till.placed", "id": "e"}
    return encode(Envelope("a", "/shop", OVERDUE_TYPE, 1, subject, NOW, "flow", "a", {"n": 1, "armed": armed}))


def armed() -> Ending:
    """A time-out of an hour."""
    row = TimerRow(
        RUN, "flow", "shop.unpaid", '["1"]', TimerState.ARMED, 1, 0.0, 3600.0, b"k", alarm("order/1"), b"", 1
    )
    inbox = InboxRow(b"i".rjust(20), "shop.unpaid", "e", InboxState.HANDLED, 1)
    return Ending(InboxWrite(inbox, 1), timers=(row,))


def later(kind: RowKind, seconds: float) -> OutboxRow:
    """A scheduled event or a retry."""
    body = encode(Envelope("e", "/shop", "shop.reminded", 1, "order/2", NOW, "flow", "e", {}))
    message = Message("shop", "shop.other", body, "application/cloudevents+json", type="shop.reminded")
    return OutboxRow(kind, message, 0.0, wait=seconds)


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[CrashableStore]:
    """A store with one of each."""
    made: CrashableStore
    if request.param == "sqlite":
        made = SqliteStore(":memory:", clock=SystemClock(), boot="b")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        made = PostgresStore(server.url(), clock=SystemClock(), boot="b", schema=f"timers_{uuid4().hex}")
    await made.open()
    rows = (later(RowKind.SCHEDULED, 60), later(RowKind.SELF, 120), later(RowKind.EVENT, 10))
    await made.commit([armed(), Ending(outbox=rows)])
    yield made
    await made.close()


async def waiting(store: CrashableStore, **wanted: Any) -> list[tuple[str, str, str, int]]:
    """Kind, subject, type and whole minutes of what waits."""
    answer = await TimersCommand(store)({"do": "list", "limit": 10, **wanted})
    return [(each["kind"], each["subject"], each["type"], round(each["due_in"] / 60)) for each in answer["waiting"]]


async def test_what_waits_is_listed(store: CrashableStore) -> None:
    """Time-outs, scheduled events and retries, the earliest first; what is said for now is none of them."""
    every = [
        ("scheduled", "order/2", "shop.reminded", 1),
        ("retry", "order/2", "shop.reminded", 2),
        ("timeout", "order/1", "till.placed", 60),
    ]
    assert await waiting(store) == every
    assert await waiting(store, kind="retry") == every[1:2]
    assert await waiting(store, subscription="shop.unpaid") == every[2:]
    assert await waiting(store, subject="order/2") == every[:2]
    assert await waiting(store, type="till.placed") == every[2:]
    assert await waiting(store, limit=1) == every[:1]


async def test_a_time_out_is_cancelled_by_a_person(store: CrashableStore) -> None:
    """RULES 5.7: as if it was answered; its row keeps who and why."""
    done = await TimersCommand(store)({"do": "cancel", "id": RUN.hex(), "by": "ann", "reason": "paid in cash"})
    assert done["cancelled"]["kind"] == "timeout"
    row = (await store.timers.rows([RUN]))[RUN]
    assert (row.state, row.version, row.input) == (TimerState.MET, 2, b"")
    assert b"ann" in row.answer
    with pytest.raises(CommandRefused, match="nothing waits under the id"):
        await TimersCommand(store)({"do": "cancel", "id": RUN.hex()})


async def test_only_what_nobody_misses_is_cancelled(store: CrashableStore) -> None:
    """A scheduled event is not said; without a retry its delivery would be lost."""
    listed = await TimersCommand(store)({"do": "list", "limit": 10})
    scheduled, retry, _ = [each["id"] for each in listed["waiting"]]
    await TimersCommand(store)({"do": "cancel", "id": scheduled})
    with pytest.raises(CommandRefused, match="would be lost"):
        await TimersCommand(store)({"do": "cancel", "id": retry})
    assert [each[0] for each in await waiting(store)] == ["retry", "timeout"]


async def test_what_waits_is_moved(store: CrashableStore) -> None:
    """RULES 5.7, 11.2: it is due so many seconds from now, and nothing puts that right; the relay is told."""
    told: list[None] = []
    for id, minutes in ((RUN.hex(), 7), ("2", 5)):
        body = {"do": "move", "id": id, "seconds": minutes * 60}
        await TimersCommand(store, lambda: told.append(None))(body)
    assert await store.clock.put_right() == 0
    assert [each[3] for each in await waiting(store)] == [1, 5, 7]
    assert len(told) == 2
    with pytest.raises(CommandRefused, match="out of bounds"):
        await TimersCommand(store)({"do": "move", "id": "2", "seconds": -1})


async def test_a_time_out_whose_alarm_was_lost_is_armed_again(store: CrashableStore) -> None:
    """RULES 5.7: the period is the same, so that an alarm that was not lost fires it no second time."""
    await TimersCommand(store)({"do": "move", "id": RUN.hex(), "seconds": 0})
    assert len(await store.timers.call_due(["shop.unpaid"], 10)) == 1
    await TimersCommand(store)({"do": "move", "id": RUN.hex(), "seconds": timedelta(hours=1).total_seconds()})
    row = (await store.timers.rows([RUN]))[RUN]
    assert (row.state, row.n) == (TimerState.ARMED, 1)


async def test_odd_bytes_of_a_terminal_are_replaced(store: CrashableStore) -> None:
    """They find nothing, and as a reason and a name they are kept as far as they can be."""
    for name in ("subscription", "subject", "type"):
        assert await waiting(store, **{name: "caf\udce9 \0"}) == []
    with pytest.raises(CommandRefused, match="nothing waits under the id caf"):
        await TimersCommand(store)({"do": "cancel", "id": "caf\udce9 \0"})
    done = await TimersCommand(store)({"do": "cancel", "id": RUN.hex(), "by": "ad\udce9", "reason": "\0"})
    assert done["cancelled"]["kind"] == "timeout"

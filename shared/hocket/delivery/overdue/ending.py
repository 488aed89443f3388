"""What an arming or an answer leaves behind: the time-out's row, and what its receipt says of it (RULES 5.7)."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

from hocket.clock import rfc3339
from hocket.delivery.arrival import Arrival
from hocket.delivery.overdue.work import TimerWork
from hocket.envelope.canonical_json import MAX_WRITTEN_DEPTH, Json, canonical, read_json
from hocket.envelope.cloudevent import OVERDUE_TYPE, Envelope, encode
from hocket.envelope.keys import alarm_key
from hocket.saga.overdue import Heard, TimerRow, TimerState, Word, hear, periods

#: Characters of an answer's id and type that its row keeps.
MOST_CHARS = 255


def heard(arrival: Arrival) -> tuple[TimerRow, ...]:
    """The row to write, at most one. Decided by the row as it is known: whoever is wrong loses by its version."""
    work, overdue, envelope = arrival.timer, arrival.subscription.overdue, arrival.known
    if work is None or overdue is None:
        return ()
    row, flow = work.slot.row, "" if overdue.across else envelope.correlation_id
    blank = TimerRow(work.run, flow, arrival.subscription.queue, work.scope, TimerState.MARK)
    word = Word(arrival.key, envelope.correlation_id, work.arms, work.answers, envelope.causation_id)
    alarms = tuple(alarm_key(work.run, n) for n in periods(row)) if envelope.causation_id else ()
    found = hear(row, word, blank, wait=overdue.within.total_seconds(), alarms=alarms)
    _tell(work, found, arrival)
    if found.row is None:
        work.wrote = None
        return ()
    made = found.row
    if found.armed:
        made = replace(made, input=_alarm(arrival, made))
    elif work.answers:
        made = replace(made, answer=canonical(_answer(arrival, work), MAX_WRITTEN_DEPTH))
    work.wrote = made
    return (made,)


def _tell(work: TimerWork, found: Heard, arrival: Arrival) -> None:
    row, overdue = found.row or work.slot.row, arrival.subscription.overdue
    assert overdue is not None
    state = row.state.value if row else ""
    fact: dict[str, object] = {"state": state, "n": row.n if row else 0, "run": work.run.hex(), "scope": work.scope}
    work.word = state if found.row is not None else ""
    before = work.slot.row
    if before is not None and before.correlation_id not in {"", arrival.known.correlation_id}:
        fact["flow"] = before.correlation_id  # it was another flow's: the tracer links them
    if found.armed:
        fact["due"] = rfc3339(arrival.ended + overdue.within)
    if found.own:
        fact["own"] = True
    if found.late and row is not None:
        fact |= {"late": round(max(arrival.ended.timestamp() - row.due, 0.0), 3), "as": overdue.late}
        work.word = "late"
    work.fact = fact


def _answer(arrival: Arrival, work: TimerWork) -> dict[str, Json]:
    envelope = arrival.known
    answer: dict[str, Json] = {"id": envelope.id[:MOST_CHARS], "type": envelope.type[:MOST_CHARS]}
    if work.fact is not None and "late" in work.fact:
        answer["late"] = cast("Json", work.fact["late"])
    return answer


def _alarm(arrival: Arrival, row: TimerRow) -> bytes:
    """The body of the alarm. It carries what armed it: a period that has fired runs on whatever its row becomes."""
    armed, key = arrival.known, alarm_key(row.run, row.n)
    event = cast("dict[str, Json]", read_json(encode(armed, heard=True), depth=MAX_WRITTEN_DEPTH))
    envelope = Envelope(
        id=key,
        source=f"/{arrival.subscription.service}",
        type=OVERDUE_TYPE,
        version=1,
        subject=armed.subject,
        time=arrival.ended + timedelta(seconds=row.wait),
        correlation_id=armed.correlation_id,
        causation_id=armed.id,
        idempotency_key=key,
        data={"run": row.run.hex(), "n": row.n, "armed": event},
        traceparent=armed.traceparent,
        tracestate=armed.tracestate,
    )
    return encode(envelope, heard=True)

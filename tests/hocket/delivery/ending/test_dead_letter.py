"""A dead letter as a message: byte for byte, bounded, and without what the broker added."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hocket import Defer, Tx
from hocket.broker.port import MAX_HEADER_BYTES, Message
from hocket.broker.topology import DEAD, EVENTS
from hocket.delivery.arrival import Arrival
from hocket.delivery.decode import decode
from hocket.delivery.ending.dead_letter import LETTER_ATTEMPTS, foreign_of, letter
from hocket.delivery.ending.history import HISTORY_TRACES
from hocket.envelope.keys import inbox_key
from hocket.outcome import Attempt, Bury
from tests.hocket.sample_services import BRIEF, LONG, Ill, Processes, Rung, World, bells, delivery_of, message_of

RUNG = Rung(name="a")


def weight(headers: dict[str, object]) -> int:
    """Bytes of all headers, names included."""
    return sum(len(name.encode()) + len(str(value).encode()) for name, value in headers.items())


@pytest.mark.parametrize("sign", ["x", "é", "鐘", "🔔", "\x01", '"'])
async def test_headers_stay_under_their_bound_whatever_the_error(tower: Processes, sign: str) -> None:
    """RULES 1.6: 20 attempts with huge errors and huge foreign headers: 32 KiB at most, three attempts told."""
    lane = (await tower.start(bells.using(World()))).runners["bells.ring"]
    await tower.quiet()
    assert lane.consumer is not None
    foreign = {f"tenant-{number}-{sign}": sign * 900 for number in range(40)}
    message = message_of(RUNG, "k", tower.clock, headers={"hocket-replay": "r" * 255, **foreign})
    arrival = Arrival(delivery_of(message, "bells.ring"), lane.consumer, lane.subscription, tower.clock.now())
    decode(arrival)
    line = Attempt(1, "then", "now", "retry", "C" * 200, sign * 2000, sign * 6000)
    history = [replace(line, attempt=number) for number in range(1, 21)]
    arrival.ended = datetime(2026, 1, 1, tzinfo=UTC)
    made = letter(arrival, Bury("C" * 200, sign * 2000), death="d" * 36, spoke=False, history=history)
    assert weight(dict(made.headers)) < MAX_HEADER_BYTES - 1024
    told = json.loads(str(made.headers["hocket-death-history"]))
    assert [each["attempt"] for each in told] == [18, 19, 20]
    assert all(each["error"] for each in told)


async def test_a_letter_after_twenty_attempts_with_huge_errors(tower: Processes) -> None:
    """RULES 1.6: through the whole service; also what cannot be read names its place in bounded words."""

    async def shout(rung: Rung, tx: Tx[World]) -> None:
        raise Ill("鐘" * 1_000_000)

    await tower.start(bells.using(World(behave=shout)))
    for number in range(4):
        attempt = number * BRIEF.attempts + 1
        await tower.hear(RUNG, "k", headers={"hocket-attempt": attempt, "hocket-replay": f"r{number}"})
        await tower.advance(LONG)
    key = "🔔" * 50_000
    odd = {"specversion": "1.0", "id": "1", "source": "/x", "type": "bell.rung", "data": {"name": {key: 1}}}
    body = json.dumps(odd).encode()
    await tower.post.publish([Message(EVENTS, "bell.rung.v1", body, "application/cloudevents+json")])
    await tower.quiet()
    letters = tower.letters()
    assert len(letters) == 5
    assert [each.headers["hocket-death-attempt"] for each in letters] == [5, 10, 15, 20, 1]
    assert max(weight(dict(each.headers)) for each in letters) < MAX_HEADER_BYTES


async def test_the_row_keeps_the_whole_history_and_the_letter_its_end(tower: Processes) -> None:
    """RULES 1.6: every attempt of a replayed letter stands in the inbox row, the last three with their stacks."""

    async def shout(rung: Rung, tx: Tx[World]) -> None:
        raise Ill(f"attempt {tx.attempt}")

    worker = await tower.start(bells.using(World(behave=shout)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    await tower.hear(RUNG, "k", headers={"hocket-attempt": BRIEF.attempts + 1, "hocket-replay": "r"})
    await tower.advance(LONG)
    every = list(range(1, 2 * BRIEF.attempts + 1))
    mark = inbox_key("bells.ring", "/post", "bell.rung", "k")
    history = (await worker.runtime.store.inbox([mark]))[mark].history
    assert [each.attempt for each in history] == every
    assert [each.error for each in history] == [f"Ill: attempt {number}" for number in every]
    assert all(each.began and each.ended for each in history)
    assert [each.attempt for each in history if "Traceback" in each.trace] == every[-HISTORY_TRACES:]
    told = json.loads(str(tower.letters()[-1].headers["hocket-death-history"]))
    assert [each["attempt"] for each in told] == every[-LETTER_ATTEMPTS:]


async def test_two_binary_events_with_the_same_data_are_two_letters(tower: Processes) -> None:
    """RULES 8.1: the body alone does not tell them apart; the same event again is the same letter."""
    await tower.start(bells.using(World()))
    for id in ("1", "2", "1"):
        attributes = {"specversion": "1.0", "id": id, "source": "/x", "type": "bell.rung"}
        headers = {f"cloudEvents_{name}": value for name, value in attributes.items()}
        await tower.post.publish([Message(EVENTS, "bell.rung.v1", b'{"name":[]}', "application/json", headers)])
    await tower.quiet()
    first, other, again = [each.headers["hocket-death-id"] for each in tower.letters()]
    assert first == again
    assert first != other


async def test_no_header_of_the_broker_is_sent_again(tower: Processes) -> None:
    """RULES 1.5: `x-death` and others are data and never sent again, nor what would make a broker route or refuse."""
    seen: list[dict[str, object]] = []

    async def look(rung: Rung, tx: Tx[World]) -> None:
        seen.extend(dict(each.headers) for each in tower.broker.messages("bells.ring"))
        raise Ill

    await tower.start(bells.using(World(behave=look)))
    odd = {"x-death": "kept ones wedged a letter", "CC": "others", "n" * 129: "far", "huge": 2**63}
    await tower.hear(RUNG, "k", headers={**odd, "traceparent": "t" * 50_000})
    await tower.advance(LONG)
    assert len(seen) == 5
    for headers_seen in seen[1:]:
        assert {name.split("-")[0] for name in headers_seen} <= {"hocket", "traceparent"}
        assert len(str(headers_seen.get("traceparent", ""))) <= 128
    [dead] = tower.letters()
    assert not [name for name in dead.headers if not name.startswith("hocket-")]
    assert "hocket-death-headers" not in dead.headers


async def test_foreign_headers_go_with_every_retry_letter_and_replay(tower: Processes) -> None:
    """RULES 1.5, 1.6: what a publisher put beside its event is still there at each attempt, deferral and replay."""
    seen: list[tuple[object, object]] = []

    async def look(rung: Rung, tx: Tx[World]) -> None:
        [delivery] = tower.broker.messages("bells.ring")
        seen.append((delivery.headers.get("tenant"), delivery.headers.get("weight")))
        if len(seen) == 2:
            raise Defer(timedelta(seconds=1))
        raise Ill

    worker = await tower.start(bells.using(World(behave=look)))
    await tower.hear(RUNG, "k", headers={"tenant": "north", "weight": 3, "hocket-attempt": 1})
    await tower.advance(LONG)
    assert seen == [("north", 3)] * 6
    [dead] = tower.letters()
    assert json.loads(str(dead.headers["hocket-death-headers"])) == {"tenant": "north", "weight": 3}
    await worker.send("bells.ring", dead.body, dead.content_type, replay="r", attempt=6, headers=dead.headers)
    await tower.advance(LONG)
    assert seen == [("north", 3)] * 11
    again = tower.letters()[-1]
    assert again.headers["hocket-replay"] == "r"
    assert json.loads(str(again.headers["hocket-death-headers"])) == {"tenant": "north", "weight": 3}


@pytest.mark.parametrize("kept", ["{", "[1]", '{"a": "\\ud800"}', '{"\\ud800": 1}', '{"a": 1e9, "b": [], "c": null}'])
def test_a_letter_that_keeps_no_usable_headers_sends_none(kept: str) -> None:
    """RULES 1.5: what somebody else wrote there is data: a replay sends only what any broker takes."""
    assert foreign_of({"hocket-death-headers": kept, "tenant": "north"}) == {}


def test_a_header_of_another_type_is_kept_as_text() -> None:
    """RULES 1.5: a timestamp, bytes, a fraction and a boolean; without them a replay reads less."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    kept = foreign_of({"expires": moment, "tenant": b"north", "share": 0.5, "vip": True, "table": {}, "none": None})
    assert kept == {"expires": "2026-01-02T03:04:05.000000Z", "tenant": "north", "share": "0.5", "vip": "true"}
    assert foreign_of({"hocket-death-headers": json.dumps(kept)}) == kept


async def test_the_body_travels_byte_for_byte(tower: Processes) -> None:
    """RULES 8.4: what died is what a person sees and what a replay sends."""

    async def shout(rung: Rung, tx: Tx[World]) -> None:
        raise Ill

    await tower.start(bells.using(World(behave=shout)))
    body = b'{ "specversion" : "1.0", "id": "1", "source":"/x", "type":"bell.rung", "data": {"name":"\\u0061"} }'
    await tower.post.publish([Message(EVENTS, "bell.rung.v1", body, "application/cloudevents+json")])
    await tower.advance(LONG)
    [letter] = tower.letters()
    assert letter.body == body
    assert letter.exchange == DEAD

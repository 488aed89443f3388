"""A dead letter as a message: byte for byte, bounded, and without what the broker added."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hocket import Reject, Tx
from hocket.ids import inbox_key
from hocket.outcome import Attempt, Bury
from hocket.pipeline.arrival import Arrival
from hocket.pipeline.decode import decode
from hocket.pipeline.letter import LETTER_ATTEMPTS, letter
from hocket.pipeline.record import HISTORY_TRACES
from hocket.topology import DEAD, EVENTS
from hocket.transport import MAX_HEADER_BYTES, Message
from tests.hocket.bells import BRIEF, LONG, Ill, Rung, Tower, World, bells, delivery_of, message_of

RUNG = Rung(name="a")


def weight(headers: dict[str, object]) -> int:
    """Bytes of all headers, names included."""
    return sum(len(name.encode()) + len(str(value).encode()) for name, value in headers.items())


@pytest.mark.parametrize("sign", ["x", "é", "鐘", "🔔", "\x01", '"'])
async def test_headers_stay_under_their_bound_whatever_the_error(tower: Tower, sign: str) -> None:
    """RULES 1.6: 20 attempts with huge errors and huge foreign headers: 32 KiB at most, three attempts told."""
    lane = (await tower.start(bells.using(World()))).lanes["bells.ring"]
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


async def test_a_letter_after_twenty_attempts_with_huge_errors(tower: Tower) -> None:
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


async def test_the_row_keeps_the_whole_history_and_the_letter_its_end(tower: Tower) -> None:
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
    history = (await worker.store.inbox([mark]))[mark].history
    assert [each.attempt for each in history] == every
    assert [each.error for each in history] == [f"Ill: attempt {number}" for number in every]
    assert all(each.began and each.ended for each in history)
    assert [each.attempt for each in history if "Traceback" in each.trace] == every[-HISTORY_TRACES:]
    told = json.loads(str(tower.letters()[-1].headers["hocket-death-history"]))
    assert [each["attempt"] for each in told] == every[-LETTER_ATTEMPTS:]


async def test_two_binary_events_with_the_same_data_are_two_letters(tower: Tower) -> None:
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


async def test_retries_and_letters_carry_no_foreign_header(tower: Tower) -> None:
    """RULES 1.5: foreign and `x-death` headers are data and never sent again."""
    seen: list[dict[str, object]] = []

    async def look(rung: Rung, tx: Tx[World]) -> None:
        seen.extend(dict(each.headers) for each in tower.broker.messages("bells.ring"))
        raise Reject("no") if rung.name == "b" else Ill

    await tower.start(bells.using(World(behave=look)))
    headers = {"x-death": "kept ones wedged a letter", "tenant": "north", "traceparent": "t" * 50_000}
    await tower.hear(RUNG, "k", headers=headers)
    await tower.advance(LONG)
    assert len(seen) == 5
    for headers_seen in seen[1:5]:
        assert {name.split("-")[0] for name in headers_seen} <= {"hocket", "traceparent"}
        assert len(str(headers_seen.get("traceparent", ""))) <= 128
    await tower.hear(Rung(name="b"), "k2", headers=headers)
    await tower.quiet()
    for each in tower.letters():
        assert not [name for name in each.headers if not name.startswith("hocket-")]
    assert json.loads(str(tower.letters()[-1].headers["hocket-death-headers"])) == {"tenant": "north"}


async def test_the_body_travels_byte_for_byte(tower: Tower) -> None:
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

"""Station decode: what cannot be read is a dead letter at once, and its neighbours are unharmed."""

import gzip
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import pytest
from pydantic import field_validator

from hocket import Heard, Service, Tx
from hocket.broker.port import MAX_HEADER_BYTES, Message
from hocket.broker.topology import EVENTS, Binding, Topology, routing_key
from hocket.delivery.decode import scope_of
from hocket.delivery.ending.dead_letter import foreign_of
from hocket.envelope import read
from hocket.envelope.keys import death_id
from hocket.envelope.packing import MAX_UNPACKED_BYTES
from tests.hocket.sample_services import LONG, Processes, Rung, World, bells, book, booked, fail, message_of, uses

RUNG = Rung(name="a")
JSON = "application/cloudevents+json"
HEAD = '{"specversion":"1.0","id":"1","source":"/x","type":"bell.rung",'


class Card(Enum):
    """Its text is not its value."""

    BLUE = "blue"


class Strict(Heard, type="strict.rung"):
    name: str

    @field_validator("name")
    @classmethod
    def known(cls, value: str) -> str:
        return {"a": "A"}[value]


stricts = Service("stricts", owner="team-tower", uses=uses)


@stricts.handler
async def hear(rung: Strict, tx: Tx[World]) -> None:
    tx.use.attempts.append(tx.attempt)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("\x00\x01", "undecodable"),
        ("{", "undecodable"),
        ("[1]", "undecodable"),
        (HEAD + '"data":{"name":"\\ud800"}}', "undecodable"),
        (HEAD + '"data":{}}', "invalid"),
        (HEAD + '"data":{"name":[]}}', "invalid"),
        (HEAD + '"dataschema":"urn:hocket:bell.rung:7","data":{"name":"a"}}', "misrouted"),
    ],
)
async def test_what_cannot_be_read_is_buried_at_once(tower: Processes, body: str, cause: str) -> None:
    """RULES 5.5, 8.1: no retries, neither inbox row nor `on_dead`; the letter's identity is that of the bytes."""
    worker = await tower.start(bells.using(World(behave=book)))
    await tower.hear(RUNG, "k1")
    for _ in range(2):
        await tower.post.publish([Message(EVENTS, "bell.rung.v1", body.encode(), JSON)])
    await tower.hear(RUNG, "k2")
    await tower.advance(LONG)
    assert await booked(worker) == ["a", "a"]
    letters = tower.letters()
    assert [each.headers["hocket-death-cause"] for each in letters] == [cause] * 2
    assert {each.headers["hocket-death-id"] for each in letters} == {death_id("bells.ring", body.encode().hex())}
    assert [each.body for each in letters] == [body.encode()] * 2


def foreign(**attributes: object) -> dict[str, object]:
    """The headers of an event in binary mode."""
    whole = {"specversion": "1.0", "id": "1", "source": "/x", "type": "bell.rung", **attributes}
    return {f"cloudEvents_{name}": value for name, value in whole.items()}


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "cause", "says"),
    [
        (HEAD + '"idempotencykey":7,"data":{"name":"a"}}', JSON, {}, "undecodable", "idempotencykey: is not text"),
        (HEAD + '"idempotencykey":["k"],"data":{"name":"a"}}', JSON, {}, "undecodable", "idempotencykey: is not text"),
        (HEAD + f'"idempotencykey":"{"k" * 256}","data":{{"name":"a"}}}}', JSON, {}, "undecodable", "longer than 255"),
        ('{"name":"a"}', "application/json", foreign(idempotencykey=7), "undecodable", "idempotencykey: is not text"),
        ('{"name":"a"}', "application/json", foreign(tracestate="t" * 40_000), "undecodable", "longer than 1024"),
        ('{"name":"a"}', "application/json", foreign(region="r" * 40_000), "undecodable", "region: is longer"),
        (HEAD + '"data":{"name":"a"}}', "application/json", {}, "undecodable", "content_type"),
        (HEAD + '"data":{"name":"a"}}', "text/plain", {}, "undecodable", "content_type"),
        ("name=a", JSON, {}, "undecodable", "body: "),
        ("name=a", "application/json", foreign(), "undecodable", "data: "),
        ("\x1f\x8b\x08", JSON, {}, "undecodable", "body: "),
        (
            '{"name":"a"}',
            "application/json",
            foreign(dataschema="urn:hocket:bell.rung:2"),
            "misrouted",
            "by the routing key bell.rung.v1 and says that it is bell.rung version 2",
        ),
    ],
)
async def test_bad_input_is_a_letter_that_says_why_and_harms_no_neighbour(
    tower: Processes, body: str, content_type: str, headers: dict[str, object], cause: str, says: str
) -> None:
    """RULES 5.5: keys of a wrong type, headers over their bound, a body that is not what it claims, or not its key.

    The letter has the bytes; those before and behind it in one batch are handled, at once.
    """
    world = World(behave=book)
    worker = await tower.start(bells.using(world))
    await tower.quiet()
    bad = Message(EVENTS, "bell.rung.v1", body.encode(), content_type, headers)  # type: ignore[arg-type]  # hostile
    around = [message_of(RUNG, f"k{number}", tower.clock) for number in range(4)]
    await tower.post.publish([*around[:2], bad, *around[2:]])
    await tower.quiet()
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == cause
    assert says in str(letter.headers["hocket-death-error"])
    assert world.attempts == [1] * 4
    assert await booked(worker) == ["a"] * 4
    assert sum(len(name) + len(str(value)) for name, value in letter.headers.items()) < MAX_HEADER_BYTES
    assert worker.health() == []
    assert tower.broker.depth("bells.ring") == 0


async def test_a_validator_that_raises_anything_buries_its_own_delivery(tower: Processes) -> None:
    """A team's validator is a team's code: what it raises ends the delivery, not the service."""
    world = World()
    worker = await tower.start(stricts.using(world))
    await tower.hear(Strict.model_construct(name="b"), "bad")
    await tower.hear(Strict.model_construct(name="a"), "good")
    await tower.quiet()
    assert worker.live
    assert [each.headers["hocket-death-cause"] for each in tower.letters()] == ["invalid"]
    assert world.attempts == [1]


async def test_a_version_nobody_reads_waits_as_a_letter(tower: Processes) -> None:
    """RULES 10.2: starting only adds bindings, so an old one still delivers; that is buried with cause `version`."""
    world = World()
    await tower.start(bells.using(world))
    await tower.quiet()
    old = Binding("hocket.heard", "bells.ring", routing_key("bell.rung", 2))
    tower.broker.declare(Topology(bindings=(old,)))
    await tower.stop("bells")
    worker = await tower.start(bells.using(world))
    await tower.quiet()
    message = message_of(RUNG, "k", tower.clock, version=2)
    await tower.post.publish([Message(EVENTS, "bell.rung.v2", message.body, message.content_type)])
    await tower.advance(timedelta(seconds=1))
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "version"
    assert "not bell.rung version 2" in str(letter.headers["hocket-death-error"])
    assert worker.live
    assert world.attempts == []


@pytest.mark.parametrize("attempt", [0, -1, 2**62, "3", True, None])
async def test_an_attempt_that_is_none_is_the_first(tower: Processes, attempt: object) -> None:
    """A foreign header of our name cannot push a delivery beyond its budget, nor a number beyond the store."""
    world = World()
    await tower.start(bells.using(world))
    await tower.hear(RUNG, "k", headers={"hocket-attempt": attempt})
    await tower.quiet()
    assert world.attempts == [1]


@pytest.mark.parametrize("binary", [False, True])
async def test_a_compressed_event_is_read_and_its_letter_is_not_compressed(tower: Processes, binary: bool) -> None:
    """RULES 1.5: `content-encoding` of a foreign publisher: it is read; a letter's body is plain, as is a retry's."""
    world = World(behave=fail)
    await tower.start(bells.using(world))
    await tower.quiet()
    data = b'{"name":"a"}' if binary else HEAD.encode() + b'"data":{"name":"a"}}'
    headers: dict[str, object] = {"content-encoding": "gzip", "tenant": "north", **(foreign() if binary else {})}
    content_type = "application/json" if binary else JSON
    await tower.post.publish([Message(EVENTS, "bell.rung.v1", gzip.compress(data), content_type, headers)])  # type: ignore[arg-type]  # as foreigners send
    await tower.advance(LONG)
    [letter] = tower.letters()
    assert world.attempts == [1, 2, 3, 4, 5]
    assert read(letter.body, letter.content_type, letter.headers, tower.clock.now()).data == b'{"name":"a"}'
    kept = foreign_of(letter.headers)
    assert kept["tenant"] == "north"
    assert "content-encoding" not in kept


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(bytes(MAX_UNPACKED_BYTES + 1), mtime=0)])
async def test_a_body_that_cannot_be_unpacked_keeps_its_header(tower: Processes, body: bytes) -> None:
    """RULES 1.5: a broken body or a bomb is a letter with its bytes and its header, so that a replay reads it again."""
    world = World()
    await tower.start(bells.using(world))
    await tower.quiet()
    for _ in range(2):
        await tower.post.publish([Message(EVENTS, "bell.rung.v1", body, JSON, {"content-encoding": "gzip"})])
    await tower.quiet()
    letters = tower.letters()
    assert {each.headers["hocket-death-cause"] for each in letters} == {"undecodable"}
    assert {foreign_of(each.headers)["content-encoding"] for each in letters} == {"gzip"}
    assert len({each.headers["hocket-death-id"] for each in letters}) == 1
    assert [each.body for each in letters] == [body] * 2


async def test_what_nobody_reads_harms_nobody(tower: Processes) -> None:
    """A 64-bit id and a long fraction in fields without a reader; in a field with one, a letter that names it."""
    worker = await tower.start(bells.using(World(behave=book)))
    unread = f'{{"name":"a","id":{2**60 + 1},"share":0.12345678901234567890}}'
    for data in (unread, '{"name":"b","loud":1.0000000000000000001}'):
        body = HEAD.replace('"1"', f'"{len(data)}"') + f'"data":{data}}}'
        await tower.post.publish([Message(EVENTS, "bell.rung.v1", body.encode(), JSON)])
    await tower.quiet()
    assert await booked(worker) == ["a"]
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "invalid"
    assert "data.loud: has more digits than a double holds" in str(letter.headers["hocket-death-error"])


async def test_a_timestamp_header_is_an_extension(tower: Processes) -> None:
    """CloudEvents in binary mode: an extension of type timestamp comes as one of AMQP's, and is RFC 3339 text."""
    worker = await tower.start(bells.using(World(behave=book)))
    headers = foreign(expires=datetime(2026, 1, 2, tzinfo=UTC))
    message = Message(EVENTS, "bell.rung.v1", b'{"name":"a"}', "application/json", headers)  # type: ignore[arg-type]  # as foreigners send
    await tower.post.publish([message])
    await tower.quiet()
    assert await booked(worker) == ["a"]
    envelope = read(b"{}", "application/json", headers, tower.clock.now()).envelope
    assert envelope.extensions == {"expires": "2026-01-02T00:00:00.000000Z"}


class Placed(Heard, type="order.placed"):
    order_id: UUID
    card: Card
    number: int


@pytest.mark.parametrize("written", [str(UUID(int=0xABC)), str(UUID(int=0xABC)).upper(), UUID(int=0xABC).hex])
def test_equal_values_are_one_scope(written: str) -> None:
    """RULES 5.1: fields are compared as their models read them, not as somebody wrote them; an Enum by its value."""
    placed = Placed.model_validate({"order_id": written, "card": "blue", "number": "7"})
    assert scope_of(placed, ("order_id", "card", "number")) == f'["{UUID(int=0xABC)}","blue","7"]'

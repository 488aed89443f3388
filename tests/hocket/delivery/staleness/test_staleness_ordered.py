"""RULES 15 in ordered subscriptions: what waits is a head and makes a line, what is stale leaves it."""

from datetime import timedelta
from typing import Any

from hocket import Service, Tx
from tests.hocket.delivery.staleness.shelf import WITHIN, Bought, Packed, Priced
from tests.hocket.sample_services import BRIEF, LONG, Ill, Processes

SECOND = timedelta(seconds=1)


def words(tower: Processes, key: str) -> list[str]:
    """How the attempts of this event ended."""
    return [each["outcome"] for each in tower.receipts() if each["event"] and each["event"]["id"] == key]


def ordered(ran: list[str], failing: set[int]) -> Service[None]:
    """A service whose handlers keep the order of each subject."""
    service = Service("shelf", owner="tests")

    @service.handler
    async def reserve(event: Bought, tx: Tx) -> None:
        ran.append("reserve")

    @service.handler(ordered=True, after=reserve, within=WITHIN, retry=BRIEF)
    async def send(event: Packed, tx: Tx) -> None:
        if event.name.startswith("ill") and tx.attempt < 3:
            raise Ill
        ran.append(f"send {event.name}")

    @service.handler(ordered=True, latest_by="version", retry=BRIEF)
    async def price(event: Priced, tx: Tx) -> None:
        if event.version in failing:
            raise Ill
        ran.append(f"price {event.version}")

    return service


async def test_what_waits_is_the_head_of_a_line(tower: Processes) -> None:
    """RULES 15.4, 9.4: its successors are parked behind it, and follow in their order once it has run."""
    ran: list[str] = []
    await tower.start(ordered(ran, set()))
    for name in "abc":
        await tower.hear(Packed(name=name), name)
    await tower.advance(5 * SECOND)
    await tower.hear(Packed(name="d"), "d")
    await tower.hear(Packed(name="x"), "x", subject="bell/b")
    await tower.advance(5 * SECOND)
    assert ran == []
    causes = {each["event"]["id"]: each["cause"] for each in tower.receipts()}
    assert causes == {"a": "after", "b": "line", "c": "line", "d": "line", "x": "after"}
    await tower.hear(Bought(), "bought")
    await tower.advance(5 * SECOND)
    assert ran == ["reserve", "send a", "send b", "send c", "send d"]
    await tower.hear(Packed(name="e"), "e")
    await tower.advance(WITHIN)
    assert ran[5:] == ["send e", "send x"]


async def test_at_the_bound_the_line_goes_on(tower: Processes) -> None:
    """RULES 15.4, 9.5: the head runs all the same; who stood behind it has waited as long, and no longer."""
    ran: list[str] = []
    await tower.start(ordered(ran, set()))
    for name in ("a", "ill", "ill too"):
        await tower.hear(Packed(name=name), name)
    await tower.advance(WITHIN / 2)
    await tower.hear(Packed(name="late"), "late")
    await tower.advance(WITHIN / 2 + 8 * SECOND)
    assert ran == ["send a", "send ill", "send ill too"]
    await tower.advance(WITHIN / 2)
    assert ran == ["send a", "send ill", "send ill too", "send late"]


async def test_in_a_line_nothing_is_stale_too_early(tower: Processes) -> None:
    """RULES 15.1, 15.2, 9.6: what stands behind a dead head is newer and not handled; what comes late holds nobody."""
    ran: list[str] = []
    failing = {2}
    worker: Any = await tower.start(ordered(ran, failing))
    await tower.hear(Priced(version=1), "one")
    await tower.hear(Priced(version=2), "two")
    await tower.advance(LONG)
    await tower.hear(Priced(version=3), "three")
    await tower.hear(Priced(version=4), "four")
    await tower.advance(LONG)
    assert ran == ["price 1"]
    [letter] = tower.letters()
    failing.clear()
    await worker.send("shelf.price", letter.body, letter.content_type, replay="r1", attempt=6)
    await tower.advance(LONG)
    assert ran == ["price 1", "price 2", "price 3", "price 4"]
    await tower.hear(Priced(version=3), "again")
    await tower.hear(Priced(version=5), "five")
    await tower.advance(LONG)
    assert words(tower, "again") == ["stale"]
    assert ran[4:] == ["price 5"]


async def test_a_replay_out_of_its_place_is_stale(tower: Processes) -> None:
    """RULES 15.2, 9.7: with `skip` newer ones are handled before the replay, which is stale and holds nobody."""
    ran: list[str] = []
    service = Service("shelf", owner="tests")

    @service.handler(ordered="skip", latest_by="version", retry=BRIEF)
    async def price(event: Priced, tx: Tx) -> None:
        if event.version == 1 and tx.attempt < 6:
            raise Ill
        ran.append(f"price {event.version}")

    worker: Any = await tower.start(service)
    await tower.hear(Priced(version=1), "one")
    await tower.advance(LONG)
    await tower.hear(Priced(version=2), "two")
    await tower.advance(LONG)
    [letter] = tower.letters()
    await worker.send("shelf.price", letter.body, letter.content_type, replay="r1", attempt=6)
    await tower.advance(LONG)
    await tower.hear(Priced(version=3), "three")
    await tower.advance(LONG)
    assert ran == ["price 2", "price 3"]
    assert words(tower, "one")[-2:] == ["dead", "stale"]

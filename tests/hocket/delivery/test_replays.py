"""RULES 8 through whole services: letters and their replays."""

from hocket import Tx
from tests.hocket.sample_services import BRIEF, LONG, Echoed, Ill, Processes, Rung, World, bells, fail

RUNG = Rung(name="a")


async def test_the_letter_is_the_same_over_every_death(tower: Processes) -> None:
    """RULES 8.1, 8.4: a replay has a fresh budget, keeps its header over retries, and dies into the same letter."""
    world = World(behave=fail)
    worker = await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    [letter] = tower.letters()
    await worker.send("bells.ring", letter.body, letter.content_type, replay="r1", attempt=6)
    await tower.advance(LONG)
    first, second = tower.letters()
    assert first.headers["hocket-death-id"] == second.headers["hocket-death-id"]
    assert (second.headers["hocket-death-attempt"], second.headers["hocket-replay"]) == (10, "r1")
    assert world.attempts == list(range(1, 2 * BRIEF.attempts + 1))
    assert {each["replay"] for each in tower.receipts() if each["attempt"] > 5} == {"r1"}


async def test_a_replay_knows_that_it_is_one_and_is_handled_once(tower: Processes) -> None:
    """RULES 8.2, 8.4: `tx.replaying` in each attempt of it; its receipt `handled` names event and replay."""
    told: list[tuple[int, bool, str]] = []

    async def second_time(rung: Rung, tx: Tx[World]) -> Echoed:
        told.append((tx.attempt, tx.replaying, tx.idempotency_key))
        if tx.attempt < 8:
            raise Ill
        return Echoed(name=rung.name)

    worker = await tower.start(bells.using(World(behave=second_time)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    [letter] = tower.letters()
    for _ in range(2):
        await worker.send("bells.ring", letter.body, letter.content_type, replay="r1", attempt=6)
    await tower.advance(LONG)
    assert [(attempt, replaying) for attempt, replaying, _ in told] == [(n, n > 5) for n in range(1, 9)]
    assert len({key for *_, key in told}) == 1
    words = [each["outcome"] for each in tower.receipts()]
    assert words.count("handled") == 1
    assert len([each for each in tower.log() if each.type == "bell.echoed"]) == 1


async def test_the_original_again_does_not_wake_the_dead(tower: Processes) -> None:
    """RULES 3.5, 8.4: only a replay with a higher attempt begins again."""
    world = World(behave=fail)
    await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    await tower.hear(RUNG, "k")
    await tower.hear(RUNG, "k", headers={"hocket-attempt": 9})
    await tower.hear(RUNG, "k", headers={"hocket-attempt": 5, "hocket-replay": "late"})
    await tower.advance(LONG)
    assert len(world.attempts) == 5
    assert len(tower.letters()) == 1


async def test_a_higher_revision_takes_the_place_of_a_dead_row(tower: Processes) -> None:
    """RULES 2.5, 8.4: an edit keeps id and key; replayed, it is handled with its own data."""
    seen: list[int] = []

    async def loud(rung: Rung, tx: Tx[World]) -> None:
        seen.append(rung.loud)
        if not rung.loud:
            raise Ill

    await tower.start(bells.using(World(behave=loud)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    edited = {"hocket-attempt": 6, "hocket-replay": "r1"}
    await tower.hear(Rung(name="a", loud=1), "k", revision=1, headers=edited)
    await tower.advance(LONG)
    assert seen == [0] * 5 + [1]
    assert tower.receipts()[-1]["outcome"] == "handled"
    await tower.hear(Rung(name="a", loud=1), "k", revision=1, headers=edited)
    await tower.quiet()
    assert tower.receipts()[-1]["outcome"] == "duplicate"


async def test_nothing_that_a_dying_handler_said_was_said(tower: Processes) -> None:
    """RULES 8.3: what it would have returned was never committed."""

    async def nearly(rung: Rung, tx: Tx[World]) -> Echoed:
        await tx.db()
        said = Echoed(name=rung.name)
        if said.name == "a":
            raise Ill
        return said

    await tower.start(bells.using(World(behave=nearly)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert not [each for each in tower.log() if each.source == "/bells"]

"""History gives way to live work (RULES 7.5 g)."""

import asyncio

from hocket import Service, Tx
from hocket.streams.backfill.pace import LEAST, LIVE_SECONDS, LOOK_SECONDS, MORE, MOST, SLOW_SECONDS, Pace
from tests.hocket.annals import say
from tests.hocket.sample_services import Processes, Rung, until


def test_it_gives_way_and_comes_back() -> None:
    """RULES 7.5 g: halved while live work would wait, never below the least; it grows while it would not."""
    pace, now, first = Pace(), 100.0, Pace().width
    pace.fed(0, now)
    pace.ended(1, now + 2 * SLOW_SECONDS)
    pace.look(now := now + 2 * LOOK_SECONDS, live=True, hurry=False)
    assert pace.width == first // 2
    pace.look(now + LOOK_SECONDS / 2, live=True, hurry=False)
    assert pace.width == first // 2, "between two looks nothing changes"
    for _ in range(100):
        pace.look(now := now + 2 * LOOK_SECONDS, live=True, hurry=False)
    assert pace.width == LEAST
    pace.fed(1, now)
    pace.ended(2, now + SLOW_SECONDS / 2)
    pace.look(now := now + 2 * LOOK_SECONDS, live=True, hurry=False)
    assert pace.width == LEAST + MORE


def test_where_nothing_lives_it_is_the_most() -> None:
    """RULES 7.5 g: however slow the handler is; and soon after live work was seen last."""
    pace, now = Pace(), 100.0
    pace.fed(0, now)
    pace.look(now, live=True, hurry=False)
    for _ in range(100):
        pace.look(now := now + LIVE_SECONDS, live=False, hurry=False)
    assert pace.width == MOST


def test_it_hurries_before_the_cut() -> None:
    """RULES 7.5 g: then live work waits, for what is cut is lost."""
    pace = Pace()
    pace.fed(0, 0.0)
    pace.look(100.0, live=True, hurry=True)
    assert pace.width == MOST


def _run(pace: Pace, now: float, seconds: float, alone: float, each: float) -> float:
    """Live work all the time; an event takes so long with the least in hand, and more for each one above it."""
    end, offset = now + seconds, 0
    while now < end:
        pace.fed(offset, now, pace.width)
        took = alone + max(pace.width - LEAST, 0) * each
        pace.ended(offset + 1, now + took)
        pace.look(now := now + max(took, LOOK_SECONDS), live=True, hurry=False)
        offset += 1
    return now


def test_a_slow_commit_is_no_reason_to_give_way() -> None:
    """RULES 7.5 g: where one event takes longer than live work may wait, more in hand cost little; it is bounded."""
    pace = Pace()
    now = _run(pace, 100.0, 20.0, alone=2 * SLOW_SECONDS, each=0.0)
    assert pace.width > 10 * LEAST
    widths = set()
    for _ in range(100):
        now = _run(pace, now, 0.2, alone=2 * SLOW_SECONDS, each=SLOW_SECONDS / 32)
        widths.add(pace.width)
    assert max(list(widths)) <= MOST
    assert min(widths) <= 4 * LEAST, "where each one more makes an event slower it gives way"


def test_what_an_event_takes_alone_is_measured_again() -> None:
    """RULES 7.5 g: a store that is slow for a while does not make live work wait for ever."""
    pace = Pace()
    now = _run(pace, 100.0, 30.0, alone=10 * SLOW_SECONDS, each=0.0)
    assert pace.width == MOST
    _run(pace, now, 90.0, alone=SLOW_SECONDS / 2, each=SLOW_SECONDS / 64)
    assert pace.width <= 6 * LEAST


async def test_two_that_read_history_do_not_give_way_to_each_other(tower: Processes) -> None:
    """RULES 7.5 g: only one that lives is given way to."""
    go_on, held = asyncio.Event(), list[str]()
    both: Service[None] = Service("annals", owner="team-annals")

    async def hold(rung: Rung, tx: Tx) -> None:
        held.append(rung.name)
        await go_on.wait()

    for name in ("one", "other"):
        both.handler(since="first", name=name)(hold)
    both.handler(name="lives")(hold)
    await say(tower, "a")
    worker = await tower.start(both)
    await until(lambda: held == ["a", "a"])
    fillers = worker.backfills.fillers.values()
    assert not any(each.live_waits() for each in fillers)
    await say(tower, "b")
    await until(lambda: all(each.live_waits() for each in fillers))
    go_on.set()
    await tower.quiet()

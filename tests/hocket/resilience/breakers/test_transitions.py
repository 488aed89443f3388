"""How the row of a breaker changes, and a small world of replicas in which nothing may go wrong (RULES 6)."""

import math
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import pytest

from hocket.breaker import Breaker
from hocket.resilience.breakers.row import BreakerRow, Sight, Slot
from hocket.resilience.breakers.transitions import Report, Verdict, asked, held, released, told, width_of

API = Breaker("api", failures=(OSError,), after=3, open_for=timedelta(seconds=10), ramp=4)
ME = ("me",)


def sight(row: BreakerRow, now: float = 0.0, living: tuple[str, ...] = ME) -> Sight:
    """What a decision sees."""
    return Sight(row, now, living)


def tell(row: BreakerRow, report: Report, now: float = 0.0, breaker: Breaker = API, least: float = 0.0) -> BreakerRow:
    """The row after a report, without chance."""
    return told(sight(row, now), report, breaker, least=least, chance=0.0)


def failures(row: BreakerRow, many: int, *, since_ok: float = math.inf) -> Report:
    """A report of failures in a row."""
    return Report(row.version, many, many, many, since_ok)


def opened(now: float = 0.0, breaker: Breaker = API) -> BreakerRow:
    """An open row."""
    row = BreakerRow(breaker.name)
    return tell(row, failures(row, breaker.after), now, breaker)


def probe(row: BreakerRow, verdicts: str, now: float = 20.0, breaker: Breaker = API) -> BreakerRow:
    """As many slots as verdicts, and how their calls ended: o, b or n."""
    for at, letter in enumerate(verdicts):
        slot = f"me/{now}.{at}"
        row = asked(sight(row, now), slot, 60.0, breaker)
        assert slot in row.granted()
        verdict: Verdict = {"o": "ok", "b": "bad", "n": "none"}[letter]  # type: ignore[assignment]
        row = tell(row, Report(slots=((slot, verdict),)), now, breaker)
    return row


def test_failures_in_a_row_open_it_over_all_replicas() -> None:
    """RULES 6.2: what each has seen since its last report, successes included."""
    row = BreakerRow("api")
    row = tell(row, failures(row, 2), 1.0)
    row = tell(row, failures(row, 1, since_ok=0.5), 2.0)  # of another replica, which had a success meanwhile
    assert (row.state, row.streak, row.version) == ("closed", 1, 0)
    row = tell(row, failures(row, 2), 3.0)
    assert (row.state, row.version, sight(row, 3.0).remaining()) == ("open", 1, 10.0)


def test_a_success_of_before_the_last_failure_does_not_begin_the_row_anew() -> None:
    """RULES 6.2: else the first failure of each replica would, and each more of them cost `after` - 1 more attempts."""
    row = tell(BreakerRow("api"), failures(BreakerRow("api"), 2, since_ok=5.0), 10.0)
    row = tell(row, failures(row, 1, since_ok=1.5), 11.0)
    assert (row.state, row.reason) == ("open", "3 failures in a row")


def test_a_rate_opens_it_when_there_were_enough_calls_in_the_window() -> None:
    """RULES 6.2: at `rate` of at least `volume` calls in `window`; what was before the window is forgotten."""
    half = Breaker("api", failures=(OSError,), after=100, rate=0.5, volume=10, window=timedelta(seconds=30))
    row = tell(BreakerRow("api"), Report(0, 9, 5, 1, 0.0), 0.0, half)
    assert row.state == "closed"
    assert tell(row, Report(0, 1, 0, 0, 0.0), 29.0, half).state == "open"
    assert tell(row, Report(0, 1, 1, 1, 0.0), 31.0, half).state == "closed"


def test_a_call_of_an_earlier_version_is_no_verdict() -> None:
    """RULES 6.1: neither a report of an earlier closed period nor a slot of an earlier step counts."""
    row = opened()
    closed = released(sight(row), "", "me", least=0.0, at_once=True)
    assert tell(closed, Report(0, 9, 9, 9)).state == "closed"
    half = asked(sight(row, 20.0), "me/1", 60.0, API)
    again = half.with_slots({"me/1": Slot(80.0, half.version - 1)})
    assert tell(again, Report(slots=(("me/1", "bad"),)), 20.0).bad == 0


def test_the_ramp_lets_more_and_more_out_and_closes() -> None:
    """RULES 6.4: 1, 2, 4 up to `ramp`; a step ends when as many verdicts as its width are in."""
    assert [width_of(API, step) for step in range(4)] == [1, 2, 4, 4]
    row = probe(opened(), "o")
    assert (row.state, row.step) == ("half-open", 1)
    row = probe(row, "oo", 21.0)
    assert (row.state, row.step) == ("half-open", 2)
    row = probe(row, "oobo", 22.0)
    assert row.state == "closed", "one failure of four does not begin everything anew"


def test_half_of_a_step_that_fails_opens_it_and_one_of_one_does() -> None:
    """RULES 6.4: it opens as soon as so many have failed."""
    row = probe(opened(), "b")
    assert (row.state, sight(row, 20.0).remaining()) == ("open", 10.0)
    row = probe(probe(opened(), "o"), "o", 21.0)
    assert probe(row, "b", 22.0).state == "open"


def test_slots_are_granted_up_to_the_width_and_the_share() -> None:
    """RULES 6.4, 6.8: never more are out than the step allows, and no replica has more than its share."""
    row = opened()
    assert asked(sight(row, 5.0), "me/1", 60.0, API) == row, "the period is not over"
    row = asked(sight(row, 10.0, ("me", "you")), "me/1", 60.0, API)
    assert row.state == "half-open"
    assert asked(sight(row, 10.0, ("me", "you")), "you/1", 60.0, API) == row
    wide = row._replace(step=2).with_slots({})
    living = ("me", "you")
    for slot in ("me/1", "me/2", "me/3", "you/1", "you/2", "you/3"):
        wide = asked(sight(wide, 10.0, living), slot, 60.0, API)
    assert list(wide.granted()) == ["me/1", "me/2", "you/1", "you/2"]


def test_a_slot_dies_with_its_owner_or_after_its_bound() -> None:
    """RULES 6.5: nothing is half-open for ever because a prober died; its verdict is void."""
    row = asked(sight(opened(), 10.0, ("me", "you")), "you/1", 5.0, API)
    assert list(asked(sight(row, 11.0), "me/1", 5.0, API).granted()) == ["me/1"], "its owner is dead"
    late = asked(sight(row, 15.0, ("me", "you")), "me/1", 5.0, API)
    assert list(late.granted()) == ["me/1"], "its bound is over"
    assert tell(late, Report(slots=(("you/1", "bad"),)), 15.0).bad == 0


def test_a_cancelled_probe_gives_its_slot_back_and_counts_nothing() -> None:
    """RULES 6.2: the next one may ask at once."""
    row = probe(opened(), "n")
    assert (row.state, row.ok, row.bad, row.granted()) == ("half-open", 0, 0, {})


def test_the_period_doubles_while_it_flaps() -> None:
    """RULES 6.7: for each opening within ten periods of the last close, at most `longest`; a tenth of chance on top."""
    row, waits, now = BreakerRow("api"), [], 0.0
    for _ in range(8):
        row = tell(row, failures(row, 3), now)
        waits.append(row.wait)
        now = row.until
        row = probe(probe(probe(row, "o", now), "oo", now + 1), "oooo", now + 2)
        now += 3
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    row = tell(row, failures(row, 3), now + 7000)
    assert row.wait == 10
    assert told(sight(BreakerRow("api")), failures(row._replace(version=0), 3), API, least=0, chance=1).wait == 11


def test_retry_after_opens_it_at_once_and_is_no_flapping() -> None:
    """RULES 6.7: until then, at most a day; a longer one prolongs, a shorter one does not."""
    row = BreakerRow("api")
    row = tell(row, Report(0, 1, 1, 1, shut=120.0))
    assert (row.state, row.wait, row.level) == ("open", 120.0, 0)
    assert tell(row, Report(shut=60.0)).until == 120.0
    assert tell(row, Report(shut=1e9)).until == 86_400.0
    assert tell(BreakerRow("api"), Report(0, 1, 1, 1, shut=1.0), least=10.0).wait == 10.0


def test_a_person_holds_it_and_closes_it() -> None:
    """RULES 6.7: held until a person closes or its time is over; then a last period for all to learn, and the ramp."""
    row = held(sight(BreakerRow("api")), None, "they migrate", "ada", least=10.0)
    assert (row.state, row.reason, row.by, sight(row, 1e9).remaining()) == ("held", "they migrate", "ada", math.inf)
    assert asked(sight(row, 1e9), "me/1", 1.0, API) == row
    assert tell(row, Report(shut=5.0)) == row
    shut = released(sight(row, 100.0), "done", "ada", least=10.0, at_once=False)
    assert (shut.state, shut.until) == ("open", 110.0)
    assert asked(sight(shut, 110.0), "me/1", 1.0, API).state == "half-open"
    assert released(sight(row), "done", "ada", least=10.0, at_once=True).state == "closed"
    timed = held(sight(BreakerRow("api")), 7200.0, "", "", least=10.0)
    assert asked(sight(timed, 7200.0), "me/1", 1.0, API).state == "half-open"


def test_a_period_that_a_wrong_clock_wrote_is_put_right() -> None:
    """RULES 11.2: what was given for ten seconds is at most ten seconds away."""
    row = opened(now=1e9)
    assert asked(sight(row, 0.0), "me/1", 1.0, API).state == "open"
    put = tell(row, Report(slots=(("me/9", "none"),)), 0.0)
    assert put.until == 10.0


# -- a small world: two replicas, deliveries, crashes, a person; every order of events ---------------------------------

SMALL = Breaker("api", failures=(OSError,), after=2, open_for=timedelta(seconds=10), ramp=2)
REPLICAS = ("A", "B")
PERIOD = 10.0


class Call(NamedTuple):
    """A call under way: who makes it, by which slot ("": it saw the breaker closed) and version."""

    who: str
    slot: str
    version: int


class World(NamedTuple):
    """The row, what each replica believes, and calls."""

    row: BreakerRow
    now: float
    view: tuple[tuple[str, int], tuple[str, int]]  # state and version
    calls: tuple[Call, ...]
    ill: bool
    turns: int
    crashes: int
    hands: int
    slots: int  # given so far
    left: int  # calls that may still begin


def known(world: World, who: str) -> World:
    """The replica learns the row."""
    fact = (str(world.row.state), world.row.version)
    view = tuple(fact if each == who else was for each, was in zip(REPLICAS, world.view, strict=True))
    return world._replace(view=view)  # type: ignore[arg-type]


def begin(world: World, who: str) -> Iterator[World]:
    """It calls where it believes the breaker closed, else asks for a slot."""
    state, version = world.view[REPLICAS.index(who)]
    if state == "closed":
        call = Call(who, "", version)
        assert world.row.state != "half-open", "a replica that knew nothing called during the ramp"
        yield world._replace(calls=tuple(sorted((*world.calls, call))), left=world.left - 1)
        return
    slot = f"{who}/{world.slots}"
    row = asked(Sight(world.row, world.now, REPLICAS), slot, 1e6, SMALL)
    after = known(world._replace(row=row, slots=world.slots + 1), who)
    if slot in row.granted():
        out = [each for each in (*after.calls, Call(who, slot, row.version)) if each.slot]
        assert len(out) <= width_of(SMALL, row.step), "more calls at once than the ramp allows"
        yield after._replace(calls=tuple(sorted((*after.calls, Call(who, slot, row.version)))), left=world.left - 1)
    elif row != world.row or after.view != world.view:
        yield after._replace(slots=world.slots)


def end(world: World, call: Call, verdict: Verdict) -> World:
    """Its end is told; a success while closed tells nobody."""
    left = list(world.calls)
    left.remove(call)
    world = world._replace(calls=tuple(left))
    if not call.slot and verdict != "bad":
        return world
    report = Report(slots=((call.slot, verdict),)) if call.slot else Report(call.version, 1, 1, 1)
    row = told(Sight(world.row, world.now, REPLICAS), report, SMALL, least=PERIOD, chance=0.0)
    if call.version != world.row.version:
        before, after = world.row, row
        assert (before.state, before.step, before.ok, before.bad) == (after.state, after.step, after.ok, after.bad)
    if verdict == "none":
        assert (row.state, row.ok, row.bad) == (world.row.state, world.row.ok, world.row.bad)
    return known(world._replace(row=row), call.who)


def moves(world: World) -> Iterator[World]:
    """Everything that may happen next."""
    for who in REPLICAS:
        if world.left and sum(each.who == who for each in world.calls) < 2:
            yield from begin(world, who)
        yield known(world, who)
        if world.crashes:
            calls = tuple(each for each in world.calls if each.who != who)
            slots = {name: slot for name, slot in world.row.granted().items() if not name.startswith(f"{who}/")}
            dead = world._replace(calls=calls, row=world.row.with_slots(slots), crashes=world.crashes - 1)
            yield known(dead, who)  # its lease is over by then
    for call in dict.fromkeys(world.calls):
        yield end(world, call, "bad" if world.ill else "ok")
        yield end(world, call, "none")
    if 0 < Sight(world.row, world.now).remaining() < math.inf and all(state != "closed" for state, _ in world.view):
        yield world._replace(now=world.row.until)  # longer than two renewals: nobody alive still believes it closed
    if world.turns:
        yield world._replace(ill=not world.ill, turns=world.turns - 1)
    if world.hands:
        row = held(Sight(world.row, world.now), None, "", "", least=PERIOD)
        yield world._replace(row=row, hands=world.hands - 1)
    if world.row.state == "held":
        yield world._replace(row=released(Sight(world.row, world.now), "", "", least=PERIOD, at_once=False))


def same(world: World) -> World:
    """Moments and numbers of slots do not matter, only what they are compared with."""
    remaining = Sight(world.row, world.now).remaining()
    names = {each: f"{each[0]}/{at}" for at, each in enumerate(sorted(world.row.granted()))}
    calls = tuple(sorted(each._replace(slot=names.get(each.slot, each.slot and "X/0")) for each in world.calls))
    slots = {names[name]: Slot(1e9, slot.version) for name, slot in world.row.granted().items()}
    until = world.now + remaining if 0 < remaining < math.inf else 0.0
    low = min([world.row.version, *(version for _, version in world.view), *(each.version for each in calls)])
    row = world.row._replace(
        version=world.row.version - low, until=until - world.now if until else 0.0, wait=0.0, level=0, updated=0.0,
        calls=0, reason="",
    ).with_slots({name: Slot(1e9, slot.version - low) for name, slot in slots.items()})  # fmt: skip
    view = tuple((state, version - low) for state, version in world.view)
    moved = tuple(each._replace(version=each.version - low) for each in calls)
    return world._replace(row=row, now=0.0, slots=9, calls=moved, view=view)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ill", "turns", "crashes", "hands", "calls"), [(False, 2, 0, 0, 5), (True, 1, 1, 0, 5), (True, 1, 0, 1, 3)]
)
def test_in_every_order_the_ramp_is_kept_and_an_end_is_reached(
    ill: bool, turns: int, crashes: int, hands: int, calls: int,
) -> None:  # fmt: skip
    """RULES 6.3, 6.4, 6.5: no order of calls, ends, crashes and news breaks the ramp or leaves it shut for ever."""
    first = World(BreakerRow("api"), 0.0, (("closed", 0), ("closed", 0)), (), ill, turns, crashes, hands, 0, calls)
    seen, todo = {same(first)}, deque([first])
    back: dict[World, set[World]] = {}
    while todo:
        world = todo.popleft()
        for after in moves(world):
            key = same(after)
            back.setdefault(key, set()).add(same(world))
            if key not in seen:
                seen.add(key)
                todo.append(after)
    reached = {each for each in seen if each.row.state == "closed" or not each.left}
    rest = deque(reached)
    while rest:
        for each in back.get(rest.popleft(), set()) - reached:
            reached.add(each)
            rest.append(each)
    assert reached == seen, "from every state the breaker can close again"
    assert len(seen) > 300

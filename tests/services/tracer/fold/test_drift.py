"""What many boots counted of drift is one state, in whatever order the facts come."""

import itertools
from datetime import timedelta

from services.tracer.fold.drift import (
    BASELINE_EVENTS,
    BASELINE_TIME,
    MAX_MARKS,
    Boot,
    Sighted,
    baseline_end,
    both_sightings,
    is_new,
    later_of,
    later_sighting,
    together,
    without_data,
)
from tests.services.tracer.sample_facts import START


def boot(events: int, *, start: float = 0.0, rate: float = 1.0, told: float = 1e6) -> Boot:
    """One that began so many seconds after the start and heard one event in so many seconds."""
    first = START + timedelta(seconds=start)
    counts = [each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if each <= events]
    return Boot(
        events, events // 100, 0, first, first + timedelta(seconds=rate * (events - 1)),
        START + timedelta(seconds=told), "warn",
        tuple((many, first + timedelta(seconds=rate * (many - 1))) for many in counts),
    )  # fmt: skip


def sighted(many: int, first: float, last: float) -> Sighted:
    """One path."""
    return Sighted(many, START + timedelta(seconds=first), f"e{first}", START + timedelta(seconds=last), f"e{last}")


def test_facts_of_one_boot_in_any_order_and_twice_are_one() -> None:
    """RULES 7.4, 16.3: the same end for each order and each double."""
    facts = [boot(n, told=n) for n in (3, 40, 700)]
    ends = set()
    for order in itertools.permutations([*facts, facts[1]]):
        state = order[0]
        for each in order[1:]:
            state = later_of(state, each)
        ends.add(state)
    assert ends == {facts[2]}
    paths = [sighted(1, 5, 5), sighted(4, 5, 9), sighted(7, 5, 11)]
    assert {
        later_sighting(later_sighting(a, b), later_sighting(b, c)) for a, b, c in itertools.permutations(paths)
    } == {sighted(7, 5, 11)}


def test_boots_add_up() -> None:
    """RULES 16.3: two replicas, or a process that started again, are counted together."""
    both = both_sightings(sighted(3, 5, 90), sighted(4, 2, 80))
    assert both == sighted(7, 2, 90)
    assert both == both_sightings(sighted(4, 2, 80), sighted(3, 5, 90))


def test_the_baseline_is_a_thousand_events_and_a_day_the_later() -> None:
    """RULES 16.3: neither alone ends it."""
    assert baseline_end([boot(999)]) is None
    assert baseline_end([boot(1000)]) == START + BASELINE_TIME
    assert baseline_end([boot(1000, rate=200.0)]) == START + timedelta(seconds=999 * 200.0)
    assert baseline_end([boot(BASELINE_EVENTS // 2), boot(BASELINE_EVENTS // 2, start=7.0)]) == START + BASELINE_TIME


def test_a_restart_does_not_begin_the_baseline_anew() -> None:
    """RULES 16.3: many short boots end it too, at the moment at which there were a thousand."""
    day = BASELINE_TIME.total_seconds()
    boots = [boot(100, start=n * day) for n in range(12)]
    assert baseline_end(boots) == boots[9].last
    assert baseline_end(boots[:9]) is None


def test_boots_that_are_over_can_be_put_together() -> None:
    """RULES 16.3: what is kept of them gives the same baseline, within a bound."""
    day = BASELINE_TIME.total_seconds()
    boots = [boot(100, start=n * day) for n in range(12)]
    one = together(boots)
    assert (one.events, one.first, one.last) == (1200, boots[0].first, boots[-1].last)
    assert baseline_end([one]) == baseline_end(boots)
    assert len(one.marks) <= MAX_MARKS + 1
    assert baseline_end([together(boots[:5]), *boots[5:]]) == baseline_end(boots)


def test_what_came_after_the_baseline_is_new() -> None:
    """RULES 16.3: by the first sighting of all boots; while the baseline lasts nothing is new."""
    end = START + BASELINE_TIME
    assert not is_new(sighted(1, 60, 90_000), end)
    assert is_new(sighted(1, 90_000, 90_000), end)
    assert not is_new(sighted(1, 90_000, 90_000), None)


def test_names_that_one_boot_took_for_data_are_shown_by_no_boot() -> None:
    """RULES 16.3: one told `customer.*`; what another told of the same object is part of it."""
    paths = {
        ("customer.*", "unknown"): sighted(60, 5, 9), ("customer.anna", "unknown"): sighted(1, 2, 3),
        ("customer.\"a b\"", "unknown"): sighted(1, 4, 4), ("customer.tags", "type"): sighted(1, 1, 1),
        ("customer.inner.x", "unknown"): sighted(1, 1, 1), ("other", "unknown"): sighted(1, 1, 1),
    }  # fmt: skip
    found = without_data(paths)
    assert found["customer.*", "unknown"] == sighted(62, 2, 9)
    assert set(found) == {
        ("customer.*", "unknown"), ("customer.tags", "type"), ("customer.inner.x", "unknown"), ("other", "unknown"),
    }  # fmt: skip

"""What a breaker says of itself."""

from datetime import timedelta

from services.tracer.ask.breakers import BreakerSeen
from services.tracer.show.breaker_words import about_breakers, goes_on, probes, state_of, waits, why
from tests.services.tracer.sample_facts import START

LATER = START + timedelta(seconds=30)


def breaker(state: str, **more: object) -> BreakerSeen:
    """One of shipping."""
    return BreakerSeen("shipping", "carrier-api", state, START, None)._replace(**more)  # type: ignore[arg-type]


def test_an_open_one_names_its_next_probe() -> None:
    """A moment that has passed is none: then the next delivery tries."""
    found = breaker("open", until=LATER)
    assert state_of(found, START) == "breaker carrier-api is open since 14:05:00"
    assert goes_on(found, START) == "next probe at 14:05:30"
    assert goes_on(found, LATER) == "the next delivery that comes is the probe"


def test_a_held_one_names_the_person() -> None:
    """RULES 6.7: by whom, and until when if it ends by itself."""
    found = breaker("held", by="ada", reason="they migrate\nuntil noon")
    assert state_of(found, START) == "breaker carrier-api is held open by ada since 14:05:00"
    assert goes_on(found, START) == "held until a person closes it"
    assert goes_on(found._replace(until=LATER), START) == "held until 14:05:30, then a few calls try"
    assert why(found) == "they migrate"


def test_a_ramp_tells_its_step() -> None:
    """RULES 6.4: width, what is out, and how the calls of this step ended."""
    found = breaker("half-open", width=4, ramp=32, out=2, ok=1)
    assert goes_on(found, START) == "2 of 4 probes are out"
    assert probes(found) == "2 of 4 probes are out, 1 ended well, 0 failed; closes after a step of 32"
    assert goes_on(breaker("half-open"), START) == "a few calls try"


def test_who_waits() -> None:
    """By subscription; while it is closed nobody waits for it."""
    found = breaker("open", waiting=(("shipping.recall", 0), ("shipping.ship", 12), ("shipping.track", 1)))
    assert waits(found) == "12 flows wait for shipping.ship, 1 for shipping.track"
    assert found.flows == 13
    assert (waits(found._replace(state="closed")), found._replace(state="closed").flows) == ("", 0)


def test_the_first_line_counts_what_is_not_closed() -> None:
    """docs/console.md §1."""
    assert about_breakers([]) == "No service has reported a breaker yet"
    assert about_breakers([breaker("closed"), breaker("closed")]) == "All 2 breakers are closed"
    every = [breaker("held"), breaker("open"), breaker("open"), breaker("half-open"), breaker("closed")]
    assert about_breakers(every) == ("1 breaker is held open by a person, 2 breakers are open, 1 breaker is half-open")

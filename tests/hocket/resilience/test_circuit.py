"""Breakers: when they open, how they probe, and which failures use an attempt."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hocket.breaker import Breaker
from hocket.errors import DeclarationError, Defer
from hocket.resilience.circuit import MAX_PROBED, PROBE_POLL_SECONDS, PROBES_PER_DELIVERY, Circuit, Permit

API = Breaker("card-api", failures=(TimeoutError,), after=3, open_for=timedelta(seconds=10))
SLOW = Breaker("slow", failures=(TimeoutError,), after=2, slow=timedelta(seconds=1))


def begun(circuit: Circuit, now: float, key: bytes) -> Permit:
    """The permit of a call while the breaker is closed."""
    permit = circuit.admit(now, key)
    assert permit
    return permit


def state_of(circuit: Circuit) -> str:
    """The present state."""
    return circuit.state


def opened(circuit: Circuit, now: float = 0.0) -> None:
    """Open it by consecutive failures."""
    for _ in range(circuit.breaker.after):
        assert circuit.failed(begun(circuit, now, b"k"), now), "a failure while closed uses an attempt"


def probe(circuit: Circuit, now: float, key: bytes = b"k") -> Permit:
    """The permit of the probe that is due."""
    permit = circuit.admit(now, key)
    assert permit
    assert permit.probe
    return permit


def test_failures_in_a_row_open_it() -> None:
    """RULES 6.11: it opens also when no call ever succeeded; a success resets the count."""
    changes: list[str] = []
    circuit = Circuit(API, changes.append)
    for _ in range(2):
        circuit.failed(begun(circuit, 0.0, b"k"), 0.0)
    circuit.succeeded(begun(circuit, 0.0, b"k"), 0.0, 0.1)
    assert circuit.wait(0.0) == 0.0
    opened(circuit)
    assert (circuit.state, changes) == ("open", ["open"])
    assert circuit.admit(9.9, b"k") is None
    assert circuit.wait(4.0) == 6.0


def test_one_probe_closes_it() -> None:
    """RULES 6.11: after the period one delivery probes while the others wait; its success closes the breaker."""
    changes: list[str] = []
    circuit = Circuit(API, changes.append)
    opened(circuit)
    permit = probe(circuit, 10.0)
    assert state_of(circuit) == "half-open"
    assert circuit.admit(10.0, b"other") is None
    assert circuit.wait(10.0) == PROBE_POLL_SECONDS
    circuit.succeeded(permit, 11.0, 1.0)
    assert changes == ["open", "half-open", "closed"]
    after = circuit.admit(11.0, b"k")
    assert after
    assert not after.probe


def test_a_failed_probe_is_deferred_and_opens_it_again() -> None:
    """RULES 6.11: while open or half-open a failure uses no attempt; another delivery may probe next."""
    circuit = Circuit(API)
    opened(circuit)
    assert not circuit.failed(probe(circuit, 10.0, b"poison"), 12.0)
    assert (circuit.state, circuit.wait(12.0)) == ("open", 10.0)
    circuit.succeeded(probe(circuit, 22.0, b"other"), 22.0, 0.1)
    assert state_of(circuit) == "closed"


def test_late_failures_of_calls_begun_before_the_opening_are_deferred() -> None:
    """RULES 6.11: they neither close it nor extend the open period; a late success does not close it."""
    circuit = Circuit(API)
    late = [begun(circuit, 0.0, b"late") for _ in range(3)]
    opened(circuit)
    assert not circuit.failed(late[0], 5.0)
    circuit.succeeded(late[1], 5.0, 5.0)
    assert (circuit.state, circuit.wait(5.0)) == ("open", 5.0)
    permit = probe(circuit, 10.0)
    assert not circuit.failed(late[2], 10.0)
    assert state_of(circuit) == "half-open"
    circuit.succeeded(permit, 10.0, 0.1)


def test_calls_of_an_earlier_closed_period_do_not_open_it() -> None:
    """A call from before the last opening does not count towards the next; its failure uses an attempt."""
    circuit = Circuit(API)
    late = [begun(circuit, 0.0, b"late") for _ in range(API.after)]
    opened(circuit)
    circuit.succeeded(probe(circuit, 10.0), 10.0, 0.1)
    assert all(circuit.failed(each, 11.0) for each in late)
    assert state_of(circuit) == "closed"


def test_a_poisonous_delivery_is_counted_in_the_end() -> None:
    """RULES 6.11: after 20 deferrals as probe its failures use attempts; another delivery's do not."""
    circuit, now = Circuit(API), 10.0
    opened(circuit)
    for _ in range(PROBES_PER_DELIVERY):
        assert not circuit.failed(probe(circuit, now, b"poison"), now)
        now += 10.0
    assert circuit.failed(probe(circuit, now, b"poison"), now)
    assert not circuit.failed(probe(circuit, now + 10.0, b"other"), now + 10.0)


def test_the_memory_of_failed_probes_is_bounded() -> None:
    """The oldest delivery is forgotten first: its count begins again."""
    circuit, now = Circuit(API), 10.0
    opened(circuit)
    others = [str(number).encode() for number in range(MAX_PROBED - 1)]
    for key in [b"oldest"] * PROBES_PER_DELIVERY + [b"later"] * PROBES_PER_DELIVERY + others:
        assert not circuit.failed(probe(circuit, now, key), now)
        now += 10.0
    assert circuit.failed(probe(circuit, now, b"later"), now)
    assert not circuit.failed(probe(circuit, now + 10.0, b"oldest"), now + 10.0)


def test_a_released_probe_lets_another_probe() -> None:
    """After a probe that made no outside call, another delivery may probe at once."""
    circuit = Circuit(API)
    opened(circuit)
    permit = probe(circuit, 10.0)
    circuit.released(permit, 11.0)
    assert (circuit.state, circuit.wait(11.0)) == ("open", 0.0)
    again = probe(circuit, 11.0)
    circuit.released(permit, 11.0)
    assert state_of(circuit) == "half-open", "a permit is returned once"
    circuit.succeeded(again, 11.0, 0.1)
    circuit.released(begun(circuit, 11.0, b"k"), 11.0)
    assert state_of(circuit) == "closed"


def test_slow_calls_count_as_failures() -> None:
    """RULES 6.11: a call that is slower than `slow` is a failure, also as a probe."""
    circuit = Circuit(SLOW)
    for _ in range(2):
        circuit.succeeded(begun(circuit, 0.0, b"k"), 0.0, 1.5)
    assert state_of(circuit) == "open"
    circuit.succeeded(probe(circuit, 30.0), 32.0, 1.5)
    assert (circuit.state, circuit.wait(32.0)) == ("open", 30.0)
    circuit.succeeded(probe(circuit, 62.0), 62.0, 1.0)
    assert state_of(circuit) == "closed"


def test_a_breaker_is_a_value() -> None:
    """It can be hashed and cannot be changed."""
    assert hash(API) == hash(Breaker("card-api", failures=(TimeoutError,), after=3, open_for=timedelta(seconds=10)))
    with pytest.raises(FrozenInstanceError):
        API.after = 4  # type: ignore[misc]  # what must not be possible


@pytest.mark.parametrize(
    "words",
    [
        {"name": ""},
        {"name": "n" * 201},
        {"name": 7},
        {"failures": ()},
        {"failures": TimeoutError},
        {"failures": ("TimeoutError",)},
        {"failures": (Defer,)},
        {"after": 0},
        {"open_for": timedelta(0)},
        {"open_for": 30},
        {"open_for": timedelta(days=2)},
        {"slow": timedelta(0)},
        {"slow": 1.0},
        {"rate": 0},
        {"rate": 1.5},
        {"volume": 0},
        {"window": timedelta(0)},
        {"window": timedelta(hours=2)},
        {"within": timedelta(0)},
        {"slow": timedelta(seconds=5), "within": timedelta(seconds=5)},
        {"open_for": timedelta(minutes=20)},  # longer than `longest`
        {"longest": timedelta(days=2)},
        {"ramp": 0},
        {"ramp": 2000},
        {"in_flight": 0},
        {"per_second": 1.5},
        {"per_second": 1, "per_minute": 61},
        {"ill": 7},
    ],
)
def test_invalid_arguments_are_refused(words: dict[str, Any]) -> None:
    """An invalid breaker raises `DeclarationError` at import, with its name."""
    with pytest.raises(DeclarationError, match="Breaker"):
        Breaker(**{"name": "card-api", "failures": (TimeoutError,)} | words)


class AnyOrder(RuleBasedStateMachine):
    """Calls begin and end in any order, at any time."""

    permits: Bundle[Permit] = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.changes: list[str] = []
        self.circuit = Circuit(API, self.changes.append)
        self.probes: set[int] = set()
        self.opened_at = 0.0

    def _ended(self, permit: Permit) -> None:
        self.probes.discard(id(permit))

    @rule(seconds=st.floats(0, 15))
    def time_passes(self, seconds: float) -> None:
        """Time goes on."""
        self.now += seconds

    @rule(target=permits, key=st.sampled_from([b"a", b"b"]))
    def begin(self, key: bytes) -> Permit:
        """A call asks for a permit."""
        state, due = self.circuit.state, self.circuit.wait(self.now) == 0.0
        permit = self.circuit.admit(self.now, key)
        assert (permit is not None) == (state == "closed" or (state == "open" and due))
        if permit is None:
            return Permit(False, b"never", -1)
        assert permit.probe == (state != "closed")
        if permit.probe:
            assert self.now >= self.opened_at + 10.0, "no admission before the period is over"
            self.probes.add(id(permit))
        return permit

    @rule(permit=consumes(permits), took=st.floats(0, 5))
    def succeed(self, permit: Permit, took: float) -> None:
        """A call succeeds."""
        if permit.period >= 0:
            self.circuit.succeeded(permit, self.now, took)
            self._ended(permit)
            assert not permit.probe or self.circuit.state == "closed"

    @rule(permit=consumes(permits))
    def fail(self, permit: Permit) -> None:
        """A call fails."""
        if permit.period >= 0:
            before = self.circuit.state
            counts = self.circuit.failed(permit, self.now)
            self._ended(permit)
            assert counts == (before == "closed") or permit.probe
            if self.circuit.state == "open" and (before == "closed" or permit.probe):
                self.opened_at = self.now

    @rule(permit=consumes(permits))
    def release(self, permit: Permit) -> None:
        """A permit is not used."""
        if permit.period >= 0:
            self.circuit.released(permit, self.now)
            self._ended(permit)

    @invariant()
    def one_probe_at_most(self) -> None:
        """At most one probe is running, and half-open means that one is."""
        assert len(self.probes) == (self.circuit.state == "half-open")
        assert all(one != other for one, other in zip(self.changes, self.changes[1:], strict=False))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)

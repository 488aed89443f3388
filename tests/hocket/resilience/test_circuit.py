"""Breakers: when they open, how they probe, and what a failure costs."""

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hocket.breaker import Breaker
from hocket.errors import DeclarationError, Defer
from hocket.resilience.circuit import MAX_PROBED, PROBE_LOOK_SECONDS, PROBES_PER_DELIVERY, Circuit, Permit

API = Breaker("card-api", failures=(TimeoutError,), after=3, open_for=timedelta(seconds=10))
SLOW = Breaker("slow", failures=(TimeoutError,), after=2, slow=timedelta(seconds=1))


def begun(circuit: Circuit, now: float, key: bytes) -> Permit:
    """The leave of a call while the breaker is closed."""
    leave = circuit.admit(now, key)
    assert leave
    return leave


def state_of(circuit: Circuit) -> str:
    """Where it stands now."""
    return circuit.state


def opened(circuit: Circuit, now: float = 0.0) -> None:
    """Open it by failures in a row."""
    for _ in range(circuit.breaker.after):
        assert circuit.failed(begun(circuit, now, b"k"), now), "a failure while closed costs an attempt"


def probe(circuit: Circuit, now: float, key: bytes = b"k") -> Permit:
    """The leave of the probe that is due."""
    leave = circuit.admit(now, key)
    assert leave
    assert leave.probe
    return leave


def test_failures_in_a_row_open_it() -> None:
    """RULES 6.2: it opens also when nothing ever succeeded; a success between starts the count again."""
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
    """RULES 6.1: after the period one delivery probes while the others wait; its success closes the breaker."""
    changes: list[str] = []
    circuit = Circuit(API, changes.append)
    opened(circuit)
    leave = probe(circuit, 10.0)
    assert state_of(circuit) == "half-open"
    assert circuit.admit(10.0, b"other") is None
    assert circuit.wait(10.0) == PROBE_LOOK_SECONDS
    circuit.succeeded(leave, 11.0, 1.0)
    assert changes == ["open", "half-open", "closed"]
    after = circuit.admit(11.0, b"k")
    assert after
    assert not after.probe


def test_a_failed_probe_is_deferred_and_opens_it_again() -> None:
    """RULES 6.1: while open or half-open a failure costs no attempt; the next probe may be another delivery's."""
    circuit = Circuit(API)
    opened(circuit)
    assert not circuit.failed(probe(circuit, 10.0, b"poison"), 12.0)
    assert (circuit.state, circuit.wait(12.0)) == ("open", 10.0)
    circuit.succeeded(probe(circuit, 22.0, b"other"), 22.0, 0.1)
    assert circuit.state == "closed"


def test_late_failures_of_calls_begun_before_the_opening_are_deferred() -> None:
    """RULES 6.1: they keep it open and do not prolong the period; a late success does not close it."""
    circuit = Circuit(API)
    late = [begun(circuit, 0.0, b"late") for _ in range(3)]
    opened(circuit)
    assert not circuit.failed(late[0], 5.0)
    circuit.succeeded(late[1], 5.0, 5.0)
    assert (circuit.state, circuit.wait(5.0)) == ("open", 5.0)
    leave = probe(circuit, 10.0)
    assert not circuit.failed(late[2], 10.0)
    assert state_of(circuit) == "half-open"
    circuit.succeeded(leave, 10.0, 0.1)


def test_calls_of_an_earlier_closed_period_do_not_open_it() -> None:
    """A call from before the last opening says nothing of the outside as it is now; its failure costs an attempt."""
    circuit = Circuit(API)
    late = [begun(circuit, 0.0, b"late") for _ in range(API.after)]
    opened(circuit)
    circuit.succeeded(probe(circuit, 10.0), 10.0, 0.1)
    assert all(circuit.failed(each, 11.0) for each in late)
    assert state_of(circuit) == "closed"


def test_a_poisonous_delivery_is_counted_in_the_end() -> None:
    """RULES 6.1: after 20 deferrals as probe its failures cost attempts; another delivery's do not."""
    circuit, now = Circuit(API), 10.0
    opened(circuit)
    for _ in range(PROBES_PER_DELIVERY):
        assert not circuit.failed(probe(circuit, now, b"poison"), now)
        now += 10.0
    assert circuit.failed(probe(circuit, now, b"poison"), now)
    assert not circuit.failed(probe(circuit, now + 10.0, b"other"), now + 10.0)


def test_the_memory_of_failed_probes_is_bounded() -> None:
    """The oldest delivery is forgotten first."""
    circuit, now = Circuit(API), 10.0
    opened(circuit)
    for number in range(MAX_PROBED + 10):
        circuit.failed(probe(circuit, now, str(number).encode()), now)
        now += 10.0
    assert len(circuit._probed) == MAX_PROBED


def test_an_abandoned_probe_frees_its_place() -> None:
    """A probe that never called the outside leaves the place to the next one at once."""
    circuit = Circuit(API)
    opened(circuit)
    leave = probe(circuit, 10.0)
    circuit.abandoned(leave, 11.0)
    assert (circuit.state, circuit.wait(11.0)) == ("open", 0.0)
    again = probe(circuit, 11.0)
    circuit.abandoned(leave, 11.0)
    assert state_of(circuit) == "half-open", "a leave is handed back once"
    circuit.succeeded(again, 11.0, 0.1)
    circuit.abandoned(begun(circuit, 11.0, b"k"), 11.0)
    assert state_of(circuit) == "closed"


def test_slow_calls_count_as_failures() -> None:
    """RULES 6.2: what answers too late is ill, also as a probe."""
    circuit = Circuit(SLOW)
    for _ in range(2):
        circuit.succeeded(begun(circuit, 0.0, b"k"), 0.0, 1.5)
    assert state_of(circuit) == "open"
    circuit.succeeded(probe(circuit, 30.0), 32.0, 1.5)
    assert (circuit.state, circuit.wait(32.0)) == ("open", 30.0)
    circuit.succeeded(probe(circuit, 62.0), 62.0, 1.0)
    assert state_of(circuit) == "closed"


def test_a_breaker_is_a_value() -> None:
    """It can be hashed, cannot be changed, and knows its failures with their subclasses."""
    assert hash(API) == hash(Breaker("card-api", failures=(TimeoutError,), after=3, open_for=timedelta(seconds=10)))
    assert Breaker("x", failures=(OSError,)).counts(ConnectionError())
    assert not API.counts(ValueError())
    with pytest.raises(FrozenInstanceError):
        API.after = 4  # type: ignore[misc]  # what must not be possible


@pytest.mark.parametrize(
    "words",
    [
        {"name": ""},
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
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any]) -> None:
    """A declaration that cannot be meant is refused at import, with the breaker's name."""
    with pytest.raises(DeclarationError, match="Breaker"):
        Breaker(**{"name": "card-api", "failures": (TimeoutError,)} | words)


class AnyOrder(RuleBasedStateMachine):
    """Calls begin and end in any order, at any time."""

    leaves: Bundle[Permit] = Bundle("leaves")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.changes: list[str] = []
        self.circuit = Circuit(API, self.changes.append)
        self.probes: set[int] = set()
        self.opened_at = 0.0

    def _ended(self, leave: Permit) -> None:
        self.probes.discard(id(leave))

    @rule(seconds=st.floats(0, 15))
    def time_passes(self, seconds: float) -> None:
        """Time goes on."""
        self.now += seconds

    @rule(target=leaves, key=st.sampled_from([b"a", b"b"]))
    def begin(self, key: bytes) -> Permit:
        """A call wants to begin."""
        state, due = self.circuit.state, self.circuit.wait(self.now) == 0.0
        leave = self.circuit.admit(self.now, key)
        assert (leave is not None) == (state == "closed" or (state == "open" and due))
        if leave is None:
            return Permit(False, b"never", -1)
        assert leave.probe == (state != "closed")
        if leave.probe:
            assert self.now >= self.opened_at + 10.0, "no admission before the period is over"
            self.probes.add(id(leave))
        return leave

    @rule(leave=consumes(leaves), took=st.floats(0, 5))
    def succeed(self, leave: Permit, took: float) -> None:
        """A call ends well."""
        if leave.period >= 0:
            self.circuit.succeeded(leave, self.now, took)
            self._ended(leave)
            assert not leave.probe or self.circuit.state == "closed"

    @rule(leave=consumes(leaves))
    def fail(self, leave: Permit) -> None:
        """A call fails."""
        if leave.period >= 0:
            before = self.circuit.state
            counts = self.circuit.failed(leave, self.now)
            self._ended(leave)
            assert counts == (before == "closed") or leave.probe
            if self.circuit.state == "open" and (before == "closed" or leave.probe):
                self.opened_at = self.now

    @rule(leave=consumes(leaves))
    def abandon(self, leave: Permit) -> None:
        """A call never began after all."""
        if leave.period >= 0:
            self.circuit.abandoned(leave, self.now)
            self._ended(leave)

    @invariant()
    def one_probe_at_most(self) -> None:
        """Never more than one probe is out, and half-open means that one is."""
        assert len(self.probes) == (self.circuit.state == "half-open")
        assert all(one != other for one, other in zip(self.changes, self.changes[1:], strict=False))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)

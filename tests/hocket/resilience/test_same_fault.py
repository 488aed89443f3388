"""The pause of one subscription: which failures are the same, and which rows of them pause it."""

import pytest

from hocket.resilience.circuit import Permit
from hocket.resilience.same_fault import FAILURES, MAX_KNOWN, PAUSE, SUBJECTS, Fault, SameFault, fault_of

FAULT = Fault("ProgrammingError", "42P01", "handlers.py:9 in charge")
OTHER = Fault("ValueError", "", "handlers.py:12 in charge")


class Paused:
    """A pause under test, with its time and the states it reported."""

    def __init__(self) -> None:
        self.now = 0.0
        self.states: list[str] = []
        self.pause = SameFault("payments.charge", lambda _, state: self.states.append(state))

    def permit(self, key: int = 0) -> Permit:
        """A permit that is given."""
        permit = self.pause.admit(lambda: self.now, b"%d" % key)
        assert permit is not None
        return permit

    def fail(self, key: int, fault: Fault = FAULT, subject: str = "") -> bool:
        """One run that fails; whether it used an attempt."""
        return self.pause.failed(self.permit(key), fault, b"%d" % key, subject or f"order/{key}", self.now)

    def succeed(self, key: int = 0) -> None:
        """One run that ends well."""
        self.pause.succeeded(self.permit(key), self.now)

    @property
    def open(self) -> bool:
        """Whether it is paused."""
        return self.pause.circuit.state == "open"


def test_the_same_failures_in_a_row_pause_it() -> None:
    """RULES 6.11: each of them used an attempt; nothing is admitted until the pause is over, then one delivery."""
    paused = Paused()
    assert [paused.fail(key) for key in range(FAILURES)] == [True] * FAILURES
    assert paused.open
    assert paused.pause.admit(lambda: paused.now, b"x") is None
    paused.now += PAUSE.total_seconds()
    assert paused.fail(50) is False
    assert paused.open
    paused.now += PAUSE.total_seconds()
    paused.succeed(51)
    assert paused.states == ["open", "half-open", "open", "half-open", "closed"]
    assert paused.fail(52) is True


@pytest.mark.parametrize("case", ["subjects", "another fault", "success", "known"])
def test_what_is_no_row(case: str) -> None:
    """RULES 6.11: too few subjects, another failure or a success between, deliveries that fail on their own."""
    paused = Paused()
    for key in range(4 * FAILURES):
        if case == "another fault" and key % (FAILURES - 1) == 0:
            paused.fail(1000 + key, OTHER)
        if case == "success" and key % (FAILURES - 1) == 0:
            paused.succeed()
        if case == "known" and key == FAILURES - 1:
            paused.succeed()
        if case == "known":
            paused.fail(min(key, FAILURES - 2) if key < FAILURES else key % (FAILURES - 1))
        else:
            paused.fail(key, subject=f"order/{key % (SUBJECTS - 1)}" if case == "subjects" else "")
    assert paused.states == []


def test_runs_that_began_before_the_pause_are_deferred() -> None:
    """RULES 6.11: only where they fail in the same way; another failure is their own."""
    paused = Paused()
    late = [paused.permit() for _ in range(2)]
    for key in range(FAILURES):
        paused.fail(key)
    assert paused.pause.failed(late[0], FAULT, b"a", "order/a", 0.0) is False
    assert paused.pause.failed(late[1], OTHER, b"b", "order/b", 0.0) is True
    assert paused.open


def test_a_probe_that_fails_otherwise_ends_the_pause() -> None:
    """RULES 6.11: the cause is gone, and the probe's failure is its own attempt."""
    paused = Paused()
    for key in range(FAILURES):
        paused.fail(key)
    paused.now += PAUSE.total_seconds()
    assert paused.fail(99, OTHER) is True
    assert paused.states == ["open", "half-open", "closed"]


def test_what_it_remembers_is_bounded() -> None:
    """However many deliveries fail, for one subject or with successes between."""
    paused = Paused()
    for key in range(3 * MAX_KNOWN):
        paused.fail(key, subject="order/one")
        if key % 1500 == 0:
            paused.succeed()
        assert paused.pause.remembered <= 2 * MAX_KNOWN + 1


def test_a_fault_has_class_code_and_own_line_and_no_text() -> None:
    """The line is the innermost of the team's own code; of a group, the first error counts."""

    class Orig(Exception):
        sqlstate = "42P01"

    def own() -> None:
        error = RuntimeError("4111")
        error.orig = Orig()  # type: ignore[attr-defined]
        raise error

    def library() -> None:
        import json

        json.loads("{4111")

    faults = []
    for fail in (own, library):
        try:
            fail()
        except Exception as error:  # noqa: BLE001 -- whatever it is
            faults.append(fault_of(error))
    assert (faults[0].kind, faults[0].code) == ("RuntimeError", "42P01")
    assert faults[0].place.endswith(" in own")
    assert (faults[1].kind, faults[1].code) == ("JSONDecodeError", "")
    assert faults[1].place.startswith("test_same_fault.py:")
    assert faults[1].place.endswith(" in library")
    assert "4111" not in str(faults)
    assert fault_of(ExceptionGroup("g", [ValueError("a"), KeyError("b")])).kind == "ValueError"
    assert fault_of(ValueError()) == Fault("ValueError", "", "")

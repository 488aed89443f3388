"""A letter is explained by what was done to its service or its outside system, and by nothing else."""

from typing import Any

import pytest

from tests.chaos.letters import explanation, unexplained
from tests.chaos.plan import Act, Do

CARDS_HUNG = Act(1.0, Do.FAULT, "cards", seconds=5.0, what="hang")
KILLED = Act(2.0, Do.KILL, "payments")
PAUSED = Act(2.0, Do.LONG_PAUSE, "orders", seconds=17.0)
STEPPED = Act(3.0, Do.CLOCK, "crm", seconds=5.0, what="+20d")
EVERYTHING = (CARDS_HUNG, KILLED, PAUSED, STEPPED)


def letter(service: str, cause: str, state: str = "pending") -> dict[str, Any]:
    """A letter of the desk."""
    return {"id": "L1", "service": service, "cause": cause, "state": state}


@pytest.mark.parametrize(
    ("service", "cause", "act"),
    [
        ("payments", "TimeoutError", CARDS_HUNG),
        ("payments", "ClientResponseError", CARDS_HUNG),
        ("payments", "crash", KILLED),
        ("orders", "timeout", PAUSED),
        ("notifications", "too-old", STEPPED),
    ],
)
def test_an_act_explains_its_letters(service: str, cause: str, act: Act) -> None:
    """The act alone is enough, and all others together are not."""
    assert explanation(letter(service, cause), [act])
    assert explanation(letter(service, cause), [each for each in EVERYTHING if each is not act]) == ""


@pytest.mark.parametrize("cause", ["rejected", "undecodable", "misrouted", "invalid", "ledger", "KeyError", "conflict"])
def test_a_fault_of_the_shop_is_never_explained(cause: str) -> None:
    """Whatever was done to it."""
    assert unexplained([letter("payments", cause)], EVERYTHING) == [letter("payments", cause)]


def test_the_fault_of_another_system_explains_nothing() -> None:
    """The card system's fault is no reason for a mail that was not sent."""
    assert explanation(letter("notifications", "TimeoutError"), EVERYTHING) == ""


def test_what_became_obsolete_needs_no_explanation() -> None:
    """Its run was undone; handled ones do need one."""
    assert unexplained([letter("payments", "rejected", "obsolete")], ()) == []
    assert unexplained([letter("payments", "rejected", "handled")], ()) != []

"""Station decide: what a handler returned or raised, as an outcome."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hocket import Defer, Event, Heard, Retry, Scheduled, Service, Tx
from hocket.delivery.decide import LONGEST_DEFER, SHORTEST_DEFER, failed, returned
from hocket.errors import HocketError, Unsayable
from hocket.masking.mask import ALWAYS
from hocket.outcome import Again

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked(Heard, type="t.asked"):
    name: str


class A(Event, type="t.a", subject="t/{name}"):
    name: str = "a"


class B(Event, type="t.b", subject="t/{name}"):
    name: str = "b"


class C(Event, type="t.c", subject="t/{name}"):
    name: str = "c"


LATER_A = Scheduled(A(), after=timedelta(seconds=1), key="k")


def check(annotation: Any, value: Any) -> Any:
    """What is decided of a value that a handler with this annotation returned."""
    service = Service("t", owner="team-tower")

    async def take(asked: Asked, tx: Tx) -> Any: ...

    take.__annotations__["return"] = annotation
    service.handler(take)
    return returned(value, service.declarations.subscriptions["t.take"]).said


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (None, None, ()),
        (A, A(), (A(),)),
        (A | None, None, ()),
        (A | B, B(), (B(),)),
        (Scheduled[A], LATER_A, (LATER_A,)),
        (A | Scheduled[A], LATER_A, (LATER_A,)),
        (tuple[A, B], (A(), B()), (A(), B())),
        (tuple[A, B | None], (A(), None), (A(),)),
        (tuple[A, B] | C, C(), (C(),)),
        (list[A], [], ()),
        (list[A], [A(), A()], (A(), A())),
        (list[A], (A(),), (A(),)),
        (list[A | B] | None, None, ()),
        (tuple[A, ...], (A(), A()), (A(), A())),
    ],
)
def test_what_the_annotation_allows_is_said(annotation: Any, value: Any, said: tuple[Any, ...]) -> None:
    """Every form of a return annotation takes what it declares."""
    assert check(annotation, value) == said


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (A, None, "t.take returned None, but its annotation says A: return that, or write -> A | None"),
        (A | B, None, "t.take returned None, but its annotation says A | B: return that, or write -> A | B | None"),
        (list[A], None, r"returned None, but its annotation says list\[A\]"),
        (Scheduled[A], None, r"returned None, but its annotation says Scheduled\[A\]"),
        (tuple[A, B], None, r"returned None, but its annotation says tuple\[A, B\]"),
        (tuple[A, B], (A(),), r"returned tuple\[A\], but its annotation says tuple\[A, B\]"),
        (tuple[A, B], (A(), None), r"returned tuple\[A, None\], but its annotation says tuple\[A, B\]"),
        (tuple[A, B], (B(), A()), r"returned tuple\[B, A\], but its annotation says"),
        (list[A], [A(), None], r"returned list\[A, None\], but its annotation says list\[A\]"),
        (list[A], A(), r"returned A, but its annotation says list\[A\]"),
        (A, [A(), A()], r"returned list\[A, A\], but its annotation says A"),
        (A, LATER_A, r"returned Scheduled\[A\], but its annotation says A"),
        (Scheduled[A], A(), r"returned A, but its annotation says Scheduled\[A\]"),
        (list[A], [A()] * 7 + [None], r"list\[A, A, A, A, A, … 3 more\]"),
        (A, B(), "t.take says t.b version 1, which it does not declare"),
        (A, "text", "t.take says str, which is not an Event"),
        (A, [], r"returned list\[\], but its annotation says A"),
    ],
)
def test_what_it_does_not_allow_is_the_attempts_own_error(annotation: Any, value: Any, sentence: str) -> None:
    """RULES 8.3: an event that was forgotten, or another than the declared ones, is never lost without a word."""
    with pytest.raises(Unsayable, match=sentence):
        check(annotation, value)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (timedelta(days=-1), SHORTEST_DEFER),
        (timedelta(0), SHORTEST_DEFER),
        (timedelta(milliseconds=1), SHORTEST_DEFER),
        (timedelta(minutes=1), timedelta(minutes=1)),
        (timedelta.max, LONGEST_DEFER),
        (timedelta.min, SHORTEST_DEFER),
    ],
)
def test_defer_waits_within_its_bounds(asked: timedelta, got: timedelta) -> None:
    """RULES 3.5: a wait that has passed already, or is wrong, makes no loop and loses nothing."""
    outcome = failed(Defer(asked), retry=Retry(), used=1, chance=random.Random(1), free=None, mask=ALWAYS)
    assert isinstance(outcome, Again)
    assert (outcome.wait, outcome.deferred) == (got, True)


def test_defer_takes_a_timedelta() -> None:
    """Seconds as a number are refused where they are given."""
    with pytest.raises(HocketError, match=r"Defer\(5\): give a timedelta"):
        Defer(5)  # type: ignore[arg-type]

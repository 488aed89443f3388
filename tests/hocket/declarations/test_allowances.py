"""`allow=`: which codes a declaration may allow, and what it must say for them."""

from datetime import timedelta
from typing import Any

import pytest

from hocket import Death, Event, Heard, Service, Tx
from hocket.declarations import allowances
from hocket.errors import DeclarationError


class Asked(Heard, type="a.asked"):
    """Input and failure."""

    n: int


class Done(Event, type="b.done", subject="b/{n}"):
    """Result."""

    n: int


async def work(asked: Asked, tx: Tx) -> Done | None:
    """A step."""


async def undone(asked: Asked, did: Done | None, why: Asked, tx: Tx) -> None:
    """Its undo."""


def gave_up(asked: Asked, death: Death) -> Done:
    """It is given up."""
    return Done(n=asked.n)


def declare(kind: str, allow: Any) -> Service:
    """A service with `allow=` at one declaration."""
    made = Service("b", owner="tests")
    if kind == "overdue":
        made.overdue(timedelta(hours=1), unless=Done, allow=allow)(work)
        return made
    made.handler(**({"allow": allow} if kind == "handler" else {}))(work)
    if kind == "undo":
        made.undo(work, Done, by="n", allow=allow)(undone)
    elif kind == "on_dead":
        made.on_dead(work, allow=allow)(gave_up)
    return made


CODES = {
    "handler": allowances.OF_HANDLER,
    "undo": allowances.OF_UNDO,
    "overdue": allowances.OF_OVERDUE,
    "on_dead": allowances.OF_ON_DEAD,
}


@pytest.mark.parametrize("kind", CODES)
def test_every_code_of_a_declaration_is_allowed_with_a_reason(kind: str) -> None:
    """The reason is kept, on one line."""
    given = dict.fromkeys(CODES[kind], "  known,\n  and right ")
    found = declare(kind, given).declarations.subscriptions["b.undone" if kind == "undo" else "b.work"]
    kept = found.on_dead_allow if kind == "on_dead" else found.allow
    assert kept == dict.fromkeys(CODES[kind], "known, and right")


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize(
    ("allow", "sentence"),
    [
        ({"step-without-und": "x"}, "names no finding of this declaration"),
        ({"no-such-code": "x"}, "the codes here are"),
        ({"failure-undoes-nothing": ""}, "gives no reason; write in up to 500 letters why"),
        ({"failure-undoes-nothing": " "}, "gives no reason"),
        ({"failure-undoes-nothing": None}, "gives no reason"),
        ({"failure-undoes-nothing": "x" * 501}, "gives no reason"),
        ("failure-undoes-nothing", "is not a mapping; write allow={"),
        (["failure-undoes-nothing"], "is not a mapping"),
    ],
)
def test_a_code_that_is_unknown_or_has_no_reason_is_refused(kind: str, allow: Any, sentence: str) -> None:
    """At import, with what to write."""
    with pytest.raises(DeclarationError, match=r"b\.(work|undone|gave_up): allow=") as refused:
        declare(kind, allow)
    assert sentence in str(refused.value)


def test_the_code_of_another_declaration_is_refused() -> None:
    """A handler is no undo."""
    with pytest.raises(DeclarationError, match="the codes here are step-without-undo, "):
        declare("handler", {"undo-flow": "x"})

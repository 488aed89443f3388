"""Signatures: every form of docs/words.md#what-a-signature-says is read; others raise `DeclarationError`."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Optional

import pytest
from typing_extensions import TypeAliasType

from hocket.declarations.annotations import heard_of, returned_of
from hocket.declarations.signature import check_death, check_did, signature_of
from hocket.errors import DeclarationError
from hocket.event import Death, Event, Heard, Scheduled
from hocket.tx import Tx

HANDLER = "async def NAME(event: A | B, tx: Tx) -> C | None"
ON_DEAD = "def NAME(event: A, death: Death) -> B"


class Asked(Heard, type="thing.asked"):
    """Heard."""

    a: str


class AskedAgain(Heard, type="thing.asked"):
    """Another model of the same."""

    a: str


class AskedNewly(Heard, type="thing.asked", version=2):
    """Another version of the same."""

    a: str


class Done(Event, type="thing.done", subject="thing/{a}"):
    """Said."""

    a: str


class Failed(Event, type="thing.failed", subject="thing/{a}"):
    """Said."""

    a: str


Both = TypeAliasType("Both", Done | Failed)


@pytest.mark.parametrize(
    ("annotation", "heard"),
    [
        (Asked, (Asked,)),
        (Asked | AskedNewly, (Asked, AskedNewly)),
        (Asked | Done, (Asked, Done)),
        (Both, (Done, Failed)),
    ],
)
def test_the_first_parameter_says_what_is_heard(annotation: Any, heard: tuple[type[Heard], ...]) -> None:
    """One model, a union, an alias of one; own events too."""
    assert heard_of(annotation, "s.h") == heard


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        (str, r"str is not an event; write a model of the event, class OrderPlaced\(Heard"),
        (Heard, "Heard is not an event"),
        (Event, "Event is not an event"),
        (Any, "Any is not an event"),
        (Asked | None, "is not an event"),
        (list[Asked], "is not an event"),
        (Asked | AskedAgain, "Asked and AskedAgain both read thing.asked version 1; keep one"),
        ("Asked", r"cannot be resolved \('Asked'\); remove quotes and `from __future__ import annotations`"),
    ],
)
def test_what_cannot_be_heard_is_refused(annotation: Any, sentence: str) -> None:
    """Only models of events, each type and version once, and never as text."""
    with pytest.raises(DeclarationError, match=rf"^s\.h: .*{sentence}"):
        heard_of(annotation, "s.h")


@pytest.mark.parametrize(
    ("annotation", "says", "scheduled", "many", "repeated"),
    [
        (None, (), (), False, ()),
        (Done, (Done,), (), False, ()),
        (Done | None, (Done,), (), False, ()),
        (Optional[Done], (Done,), (), False, ()),  # noqa: UP045 - the old way of writing is read too
        (Both, (Done, Failed), (), False, ()),
        (list[Done | Failed], (Done, Failed), (), True, ()),
        (list[Done | Scheduled[Failed]], (Done,), (Failed,), True, ()),
        (Scheduled[Done], (), (Done,), False, ()),
        (Scheduled[Both] | None, (), (Done, Failed), False, ()),
        (tuple[Done, Failed | None], (Done, Failed), (), False, ()),
        (tuple[Done, Scheduled[Done]] | None, (Done,), (Done,), False, ()),
        (tuple[Done, Failed] | tuple[Failed, Done], (Done, Failed), (), False, ()),
        (tuple[Done, Done], (Done,), (), False, (Done,)),
        (tuple[Done, ...], (Done,), (), False, (Done,)),
        (Sequence[Done], (Done,), (), False, (Done,)),
        (list[Done] | Failed, (Done, Failed), (), False, (Done,)),
    ],
)
def test_the_return_annotation_says_what_is_said(
    annotation: Any,
    says: tuple[type[Event], ...],
    scheduled: tuple[type[Event], ...],
    many: bool,
    repeated: tuple[type[Event], ...],
) -> None:
    """Unions, tuples, lists and `Scheduled`; events that may occur several times outside a list are listed."""
    returned = returned_of(annotation, "s.h")
    assert returned.says == says
    assert returned.scheduled == scheduled
    assert returned.many is many
    assert returned.repeated == repeated


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        (Event, "-> Event does not name an event; write the class of one"),
        (Scheduled, "-> Scheduled does not name an event"),
        (Asked, "returns Asked, which is a Heard: another service says it"),
        (Heard, "returns Heard; a handler returns events of its service"),
        (str, "returns str; a handler returns"),
        (list, "returns list; a handler returns"),
        (Any, "returns .*Any; a handler returns"),
        (dict[str, Done], "a handler returns"),
        (list[list[Done]], "a handler returns"),
        (Scheduled[Scheduled[Done]], "a handler returns"),  # type: ignore[type-var]
        ("Done", "cannot be resolved"),
        (list["Done"], "cannot be resolved"),
    ],
)
def test_what_cannot_be_said_is_refused(annotation: Any, sentence: str) -> None:
    """Only classes of the service's own events may be returned."""
    with pytest.raises(DeclarationError, match=rf"^s\.h: .*{sentence}"):
        returned_of(annotation, "s.h")


async def handler(event: Asked, tx: Tx) -> Done | None:
    """A valid handler."""


async def yields(event: Asked, tx: Tx) -> AsyncIterator[Done]:
    """Says by yielding."""
    yield Done(a=event.a)


def plain(event: Asked, tx: Tx) -> None:
    """Not async."""


async def one(event: Asked) -> None:
    """Takes no transaction."""


async def three(event: Asked, tx: Tx, more: int) -> None:
    """Takes more."""


async def optional(event: Asked, tx: Tx, more: int = 1) -> None:
    """Takes more, or not."""


async def keyword(event: Asked, *, tx: Tx) -> None:
    """Takes the transaction by name."""


async def defaulted(event: Asked, tx: Tx = None) -> None:  # type: ignore[assignment]
    """May be called without one."""


async def unsaid(event, tx: Tx) -> None:  # type: ignore[no-untyped-def]
    """Has no annotation of what it hears."""


async def silent(event: Asked, tx: Tx):  # type: ignore[no-untyped-def]
    """Has no return annotation."""


async def quoted(event: "Asked", tx: Tx) -> None:
    """Names an event as text."""


async def quoted_return(event: Asked, tx: Tx) -> "Done | None":
    """Names an event as text."""


def test_a_signature_is_read() -> None:
    """Annotations in order, and what is returned."""
    signature = signature_of(handler, "s.h", HANDLER)
    assert signature.parameters == (Asked, Tx)
    assert signature.returns == Done | None


@pytest.mark.parametrize(
    ("fn", "sentence"),
    [
        (yields, "the function yields; return a list instead: async def NAME"),
        (plain, "is not an async function; write async def NAME"),
        ("charge", "is not an async function"),
        (one, r"the parameters are .*; write async def NAME"),
        (three, "the parameters are"),
        (optional, "the parameters are"),
        (keyword, "the parameters are"),
        (defaulted, "the parameters are"),
        (unsaid, "parameter event has no annotation"),
        (silent, "there is no return annotation, which names what is said; .* or -> None"),
        (quoted, r"an annotation cannot be resolved \('Asked'\)"),
        (quoted_return, r"an annotation cannot be resolved \('Done \| None'\)"),
    ],
)
def test_a_function_of_another_form_is_refused(fn: Callable[..., Any], sentence: str) -> None:
    """The message shows the form to write."""
    with pytest.raises(DeclarationError, match=rf"^s\.h: .*{sentence}"):
        signature_of(fn, "s.h", HANDLER)


def test_events_that_only_a_type_checker_sees_are_refused() -> None:
    """`from __future__ import annotations` hides that an event is imported under TYPE_CHECKING: refused at import."""
    source = "from __future__ import annotations\nasync def h(event: Nowhere, tx: Tx) -> None: ...\n"
    module: dict[str, Any] = {}
    exec(compile(source, "handlers.py", "exec", dont_inherit=True), module)  # noqa: S102 - a module of its own
    with pytest.raises(DeclarationError, match=r"remove quotes and `from __future__.*not under TYPE_CHECKING"):
        signature_of(module["h"], "s.h", HANDLER)


@pytest.mark.parametrize(
    ("annotation", "many"),
    [(Done | None, False), (Optional[Done], False), (list[Done], True)],  # noqa: UP045 - the same
)
def test_an_undo_takes_what_the_step_did_or_nothing(annotation: Any, many: bool) -> None:
    """`A | None`, or the list of all."""
    check_did(annotation, Done, many, "s.u")


@pytest.mark.parametrize(
    ("annotation", "many", "sentence"),
    [
        (Done, False, r"write Done \| None: it is None when nobody knows whether the step took"),
        (Failed | None, False, r"write Done \| None"),
        (list[Done], False, r"write Done \| None"),
        (Done | None, True, r"write list\[Done\]: it is an empty list when"),
        (list[Done | Failed], True, r"write list\[Done\]"),
    ],
)
def test_an_undo_that_forgets_the_unsure_case_is_refused(annotation: Any, many: bool, sentence: str) -> None:
    """RULES 5.2: the undo runs for `unsure` too, with None or the empty list."""
    with pytest.raises(DeclarationError, match=rf"^s\.u: .*{sentence}"):
        check_did(annotation, Done, many, "s.u")


def test_on_dead_says_one_event_of_several() -> None:
    """A union is valid: which event is said may depend on the death."""

    def gave_up(event: Asked, death: Death) -> Done | Failed:
        return Failed(a=event.a) if death.attempts else Done(a=event.a)

    assert check_death(signature_of(gave_up, "s.d", ON_DEAD, plain=True), "s.d") == (Done, Failed)


def test_on_dead_that_may_be_silent_is_refused() -> None:
    """RULES 5.5: `on_dead` says exactly one event, so that the other services learn of the failure."""

    def nothing(event: Asked, death: Death) -> Done | None: ...

    def many(event: Asked, death: Death) -> list[Done]:
        return [Done(a=event.a)]

    def deathless(event: Asked, death: str) -> Done:
        return Done(a=event.a)

    async def waiting(event: Asked, death: Death) -> Done:
        return Done(a=event.a)

    for fn, sentence in (
        (nothing, "on_dead always says one event of this service"),
        (many, "on_dead always says one event of this service"),
        (deathless, "write death: Death"),
        (waiting, "is not a plain function"),
    ):
        with pytest.raises(DeclarationError, match=sentence):
            check_death(signature_of(fn, "s.d", ON_DEAD, plain=True), "s.d")

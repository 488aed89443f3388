"""Reads annotations: which events one hears or says, through unions, tuples, lists and `Scheduled`. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, ForwardRef, Union, get_args, get_origin

from hocket.declarations.answer import Answer, Place
from hocket.declarations.subscription import EventName, name_of
from hocket.errors import DeclarationError
from hocket.event import Event, Heard, Scheduled


@dataclass(frozen=True, slots=True)
class Returned:
    """What a return annotation says.

    `says` is said at once, `scheduled` later. `many` is true for a list. `repeated` are events that may occur several
    times without a list.
    """

    says: tuple[type[Event], ...]
    scheduled: tuple[type[Event], ...]
    many: bool
    repeated: tuple[type[Event], ...]


def heard_of(annotation: Any, where: str) -> tuple[type[Heard], ...]:
    """The models that a first parameter hears, `A | B`. Raises `DeclarationError`, which says what to write instead."""
    heard: dict[EventName, type[Heard]] = {}
    for each in alternatives(annotation, where):
        if not is_model(each, Heard):
            raise DeclarationError(
                f"{where}: {text_of(each)} is not an event; write a model of the event, class {_class_name(each)}"
                '(Heard, type="order.placed"), with the fields that this service reads'
            )
        known = heard.setdefault(name_of(each), each)
        if known is not each:
            raise DeclarationError(
                f"{where}: {known.__name__} and {each.__name__} both read {_event_text(each)}; keep one of them"
            )
    return tuple(heard.values())


def returned_of(annotation: Any, where: str) -> Returned:
    """What a return annotation says (docs/words.md#what-a-signature-says).

    Raises `DeclarationError`, which says what to write instead.
    """
    says: dict[type[Event], None] = {}
    scheduled: dict[type[Event], None] = {}
    repeated: dict[type[Event], None] = {}
    for each in alternatives(annotation, where):
        times: Counter[type[Event]] = Counter()
        for element, several in _elements(each):
            for model, later in _sayings(element, where):
                (scheduled if later else says)[model] = None
                times[model] += 0 if later else 1 + several
        repeated |= {model: None for model, count in times.items() if count > 1}
    many = get_origin(annotation) is list
    return Returned(tuple(says), tuple(scheduled), many, () if many else tuple(repeated))


def answer_of(annotation: Any, where: str) -> Answer:
    """What a valid return annotation allows; `returned_of` has refused the others."""
    alone: list[Any] = []
    lists: list[Place] = []
    tuples: list[tuple[Place, ...]] = []
    for each in alternatives(annotation, where):
        arguments = get_args(each)
        if get_origin(each) in {list, Sequence} or (get_origin(each) is tuple and Ellipsis in arguments):
            lists.append(_place([arguments[0]], where))
        elif get_origin(each) is tuple:
            tuples.append(tuple(_place([element], where) for element in arguments))
        else:
            alone.append(each)
    return Answer(_text(annotation), _place(alone, where), tuple(lists), tuple(tuples))


def _place(annotations: Sequence[Any], where: str) -> Place:
    every = [(model, later) for each in annotations for model, later in _sayings(each, where)]
    none = any(each is None or each is NoneType for one in annotations for each in alternatives(one, where))
    return Place(
        frozenset(model for model, later in every if not later),
        frozenset(model for model, later in every if later),
        none,
    )


def _text(annotation: Any) -> str:
    """The annotation without the modules of its classes."""
    arguments = get_args(annotation)
    if annotation is NoneType or annotation is None:
        return "None"
    if annotation is Ellipsis:
        return "..."
    if isinstance(annotation, type) and not arguments:
        return annotation.__name__
    if not arguments:
        return text_of(annotation)
    origin = get_origin(annotation)
    inner = [_text(each) for each in arguments]
    name = getattr(origin, "__name__", "")
    return " | ".join(inner) if name in {"UnionType", "Union", ""} else f"{name}[{', '.join(inner)}]"


def one_of(annotation: Any, base: type[Heard], where: str, form: str) -> type[Any]:
    """The one class, a subclass of `base`, that an annotation names. Raises `DeclarationError`."""
    check_readable(annotation, where)
    if not is_model(annotation, base):
        raise DeclarationError(f"{where}: {text_of(annotation)} is not one subclass of {base.__name__}; write {form}")
    return annotation  # type: ignore[no-any-return]  # `is_model` has checked that it is a class


def _elements(annotation: Any) -> Iterator[tuple[Any, bool]]:
    """The elements of a list or tuple, and whether each may occur several times; else the annotation itself."""
    arguments = get_args(annotation)
    if get_origin(annotation) in {list, Sequence}:
        yield arguments[0], True
    elif get_origin(annotation) is tuple:
        yield from ((each, Ellipsis in arguments) for each in arguments if each is not Ellipsis)
    else:
        yield annotation, False


def _sayings(annotation: Any, where: str, later: bool = False) -> Iterator[tuple[type[Event], bool]]:
    for each in alternatives(annotation, where):
        if each is None or each is NoneType:
            continue
        if get_origin(each) is Scheduled and not later:
            yield from _sayings(get_args(each)[0], where, later=True)
        elif is_model(each, Event):
            yield each, later
        elif each is Event or each is Scheduled:
            raise DeclarationError(f"{where}: -> {text_of(each)} does not name an event; write the class of one")
        elif is_model(each, Heard):
            raise DeclarationError(
                f"{where}: returns {text_of(each)}, which is a Heard: another service says it; "
                "return an Event of this service"
            )
        else:
            raise DeclarationError(
                f"{where}: returns {text_of(each)}; a handler returns events of its service: A | B | None, "
                "tuple[A, B | None], list[A], and Scheduled[A] inside any of these"
            )


def alternatives(annotation: Any, where: str) -> Iterator[Any]:
    """The members of a union, else the annotation itself; type aliases are resolved."""
    check_readable(annotation, where)
    resolved = getattr(annotation, "__value__", annotation)
    if resolved is not annotation or get_origin(resolved) in {Union, UnionType}:
        for each in (resolved,) if resolved is not annotation else get_args(resolved):
            yield from alternatives(each, where)
    else:
        yield resolved


def check_readable(annotation: Any, where: str) -> None:
    """Refuse an annotation that is still text. Raises `DeclarationError`."""
    if isinstance(annotation, str | ForwardRef):
        raise unreadable(where, repr(annotation))


def unreadable(where: str, what: str) -> DeclarationError:
    """The error for an annotation that cannot be resolved."""
    return DeclarationError(
        f"{where}: an annotation cannot be resolved ({what}); remove quotes and `from __future__ import annotations`, "
        "and import or define events above it, at module level and not under TYPE_CHECKING"
    )


def is_model(annotation: Any, base: type[Heard]) -> bool:
    """Whether an annotation is a subclass of `base` that a team wrote."""
    return isinstance(annotation, type) and issubclass(annotation, base) and annotation not in {Heard, Event}


def text_of(annotation: Any) -> str:
    """An annotation as an error shows it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _class_name(annotation: Any) -> str:
    return annotation.__name__ if is_model(annotation, Heard) else "OrderPlaced"


def _event_text(model: type[Heard]) -> str:
    type_, version = name_of(model)
    return f"{type_} version {version}"

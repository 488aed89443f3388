"""What an annotation hears or says: unions, tuples, lists and scheduled events, read at import."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, ForwardRef, Union, get_args, get_origin

from hocket.declarations.subscription import EventName, name_of
from hocket.errors import DeclarationError
from hocket.event import Event, Heard, Scheduled


@dataclass(frozen=True, slots=True)
class Returned:
    """What a return annotation says: now and later, whether as a list, and what may come several times otherwise."""

    says: tuple[type[Event], ...]
    scheduled: tuple[type[Event], ...]
    many: bool
    repeated: tuple[type[Event], ...]


def heard_of(annotation: Any, where: str) -> tuple[type[Heard], ...]:
    """The models a first parameter hears, `A | B`; `DeclarationError` names `where` and what to write instead."""
    heard: dict[EventName, type[Heard]] = {}
    for each in _alternatives(annotation, where):
        if not _is_model(each, Heard):
            raise DeclarationError(
                f"{where}: {_text(each)} cannot be heard; write a model of it, class {_class_name(each)}"
                '(Heard, type="order.placed"), with the fields that are read here'
            )
        known = heard.setdefault(name_of(each), each)
        if known is not each:
            raise DeclarationError(
                f"{where}: {known.__name__} and {each.__name__} both read {_event_text(each)}; keep one of them"
            )
    return tuple(heard.values())


def returned_of(annotation: Any, where: str) -> Returned:
    """What a return annotation says (docs/words.md#what-a-signature-says).

    `DeclarationError` names `where` and what to write instead.
    """
    says: dict[type[Event], None] = {}
    scheduled: dict[type[Event], None] = {}
    repeated: dict[type[Event], None] = {}
    for each in _alternatives(annotation, where):
        times: Counter[type[Event]] = Counter()
        for element, several in _elements(each):
            for model, later in _sayings(element, where):
                (scheduled if later else says)[model] = None
                times[model] += 0 if later else 1 + several
        repeated |= {model: None for model, count in times.items() if count > 1}
    many = get_origin(annotation) is list
    return Returned(tuple(says), tuple(scheduled), many, () if many else tuple(repeated))


def one_of(annotation: Any, base: type[Heard], where: str, form: str) -> type[Any]:
    """The one class of events that an annotation names."""
    _readable(annotation, where)
    if not _is_model(annotation, base):
        raise DeclarationError(f"{where}: {_text(annotation)} is not one {base.__name__}; write {form}")
    return annotation  # type: ignore[no-any-return]  # a class, as was just seen


def _elements(annotation: Any) -> Iterator[tuple[Any, bool]]:
    """What stands in a list or tuple, and whether it may stand there several times; else the annotation itself."""
    arguments = get_args(annotation)
    if get_origin(annotation) in {list, Sequence}:
        yield arguments[0], True
    elif get_origin(annotation) is tuple:
        yield from ((each, Ellipsis in arguments) for each in arguments if each is not Ellipsis)
    else:
        yield annotation, False


def _sayings(annotation: Any, where: str, later: bool = False) -> Iterator[tuple[type[Event], bool]]:
    for each in _alternatives(annotation, where):
        if each is None or each is NoneType:
            continue
        if get_origin(each) is Scheduled and not later:
            yield from _sayings(get_args(each)[0], where, later=True)
        elif _is_model(each, Event):
            yield each, later
        elif each is Event or each is Scheduled:
            raise DeclarationError(f"{where}: -> {_text(each)} does not say which event; name its class")
        elif _is_model(each, Heard):
            raise DeclarationError(
                f"{where}: says {_text(each)}, which another service says and this one only hears; "
                "say an Event of this service"
            )
        else:
            raise DeclarationError(
                f"{where}: returns {_text(each)}; a handler returns events of its service: A | B | None, "
                "tuple[A, B | None], list[A], and Scheduled[A] inside any of these"
            )


def _alternatives(annotation: Any, where: str) -> Iterator[Any]:
    """The members of a union, or the one thing it is; a type alias is looked through."""
    _readable(annotation, where)
    meant = getattr(annotation, "__value__", annotation)
    if meant is not annotation or get_origin(meant) in {Union, UnionType}:
        for each in (meant,) if meant is not annotation else get_args(meant):
            yield from _alternatives(each, where)
    else:
        yield meant


def _readable(annotation: Any, where: str) -> None:
    if isinstance(annotation, str | ForwardRef):
        raise _unreadable(where, repr(annotation))


def _unreadable(where: str, what: str) -> DeclarationError:
    return DeclarationError(
        f"{where}: an annotation cannot be read ({what}); take away quotes and `from __future__ import annotations`, "
        "and import or define events above, at the level of the module and not under TYPE_CHECKING"
    )


def _is_model(annotation: Any, base: type[Heard]) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, base) and annotation not in {Heard, Event}


def _text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _class_name(annotation: Any) -> str:
    return annotation.__name__ if _is_model(annotation, Heard) else "OrderPlaced"


def _event_text(model: type[Heard]) -> str:
    type_, version = name_of(model)
    return f"{type_} version {version}"

"""Reads declarations from the signatures of handlers, undos and `on_dead` functions. Pure."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, ForwardRef, Union, get_args, get_origin

from hocket.breaker import Breaker
from hocket.declarations.choreography import (
    CONCURRENCY,
    HANDLER_TIMEOUT,
    MAX_CONCURRENCY,
    MAX_PREFETCH,
    PREFETCH,
    EventName,
    Subscription,
    name_of,
)
from hocket.declarations.names import former_of
from hocket.errors import DeclarationError
from hocket.event import Death, Event, Heard, Scheduled
from hocket.retry import Retry

_OPTIONS: dict[str, type] = {
    "name": str,
    "formerly": object,
    "retry": Retry,
    "breaker": Breaker,
    "timeout": timedelta,
    "idempotent": bool,
    "concurrency": int,
    "prefetch": int,
}
_OPTIONS_TEXT = ", ".join(f"{option}=" for option in _OPTIONS)


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
    """What a return annotation says (DESIGN §7); `DeclarationError` names `where` and what to write instead."""
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


@dataclass(frozen=True, slots=True)
class Signature:
    """The annotations of a function's parameters, in order, and of what it returns."""

    parameters: tuple[Any, ...]
    returns: Any


def signature_of(fn: Callable[..., Any], where: str, form: str, plain: bool = False) -> Signature:
    """Read a function that is to look like `form`; `plain`: it is not async. `DeclarationError` says what is amiss."""
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise DeclarationError(f"{where}: it yields; return a list instead: {form}")
    if not inspect.isfunction(fn) or inspect.iscoroutinefunction(fn) is plain:
        raise DeclarationError(f"{where}: is no {'plain' if plain else 'async'} function; write {form}")
    try:
        signature = inspect.signature(fn)
    except NameError as error:
        raise _unreadable(where, str(error)) from error
    parameters = signature.parameters.values()
    if len(parameters) != form.partition(")")[0].count(":") or any(
        each.kind not in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD} or each.default is not each.empty
        for each in parameters
    ):
        raise DeclarationError(f"{where}: its parameters are {signature}; write {form}")
    for each in parameters:
        if each.annotation is each.empty:
            raise DeclarationError(f"{where}: parameter {each.name} has no annotation; write {form}")
        _readable(each.annotation, where)
    if signature.return_annotation is signature.empty:
        raise DeclarationError(
            f"{where}: the return annotation is missing, and it says what is said; write {form}, or -> None"
        )
    _readable(signature.return_annotation, where)
    return Signature(tuple(each.annotation for each in parameters), signature.return_annotation)


def check_event(event: object, where: str) -> None:
    """Refuse what is no event of a service's own."""
    if not _is_model(event, Event):
        raise DeclarationError(f"{where}: {_text(event)} is no Event; name the class of an event of this service")


def check_did(annotation: Any, did: type[Event], many: bool, where: str) -> None:
    """An undo's second parameter is what the step said, or nothing where that is unknown."""
    if many:
        right = get_origin(annotation) is list and get_args(annotation) == (did,)
        form = f"list[{did.__name__}]"
    else:
        right = get_origin(annotation) in {Union, UnionType} and set(get_args(annotation)) == {did, NoneType}
        form = f"{did.__name__} | None"
    if not right:
        raise DeclarationError(
            f"{where}: its second parameter is {_text(annotation)}; write {form}: "
            f"{'an empty list' if many else 'None'} when the step may or may not have happened"
        )


def check_death(signature: Signature, where: str) -> tuple[type[Event], ...]:
    """What an `on_dead` function says: always one event, after reading a `Death`."""
    if signature.parameters[1] is not Death:
        raise DeclarationError(f"{where}: its second parameter tells of the death; write death: Death")
    for each in _alternatives(signature.returns, where):
        if not _is_model(each, Event):
            raise DeclarationError(
                f"{where}: returns {_text(each)}; on_dead always says one event of this service: -> A, or -> A | B"
            )
    return returned_of(signature.returns, where).says


def check_input(signature: Signature, of: Subscription, where: str) -> None:
    """The first parameter of an undo or an `on_dead` is what the step hears."""
    if set(heard_of(signature.parameters[0], where)) != set(of.heard):
        raise DeclarationError(
            f"{where}: its first parameter is {_text(signature.parameters[0])}, but {of.queue} hears "
            f"{' | '.join(each.__name__ for each in of.heard)}; write that"
        )


def check_step_says(step: Callable[..., Any], of: Subscription, did: type[Event], where: str) -> bool:
    """Whether the step says `did` in a list; refuses a `did` that it does not say, or that an undo would lose."""
    returned = returned_of(inspect.signature(step).return_annotation, of.queue)
    if did not in returned.says:
        said = ", ".join(each.__name__ for each in returned.says) or "nothing at once"
        raise DeclarationError(f"{where}: {of.queue} does not say {_text(did)} but {said}; name what it says")
    if did in returned.repeated:
        raise DeclarationError(
            f"{where}: {of.queue} may say several {did.__name__}; let it return list[…], so that its undo gets them all"
        )
    return returned.many


def one_of(annotation: Any, base: type[Heard], where: str, form: str) -> type[Any]:
    """The one class of events that an annotation names."""
    _readable(annotation, where)
    if not _is_model(annotation, base):
        raise DeclarationError(f"{where}: {_text(annotation)} is not one {base.__name__}; write {form}")
    return annotation  # type: ignore[no-any-return]  # a class, as was just seen


def fields_of(by: object, where: str) -> tuple[str, ...]:
    """The fields that `by=` names."""
    fields = (by,) if isinstance(by, str) else by
    if not isinstance(fields, tuple) or not all(isinstance(each, str) and each for each in fields):
        raise DeclarationError(f'{where}: by={by!r} names no fields; write by="order_id", or a tuple of names')
    return fields


def subscription_of(
    service: str,
    name: str,
    fn: Callable[..., Any],
    heard: tuple[type[Heard], ...],
    signature: Signature,
    options: dict[str, Any],
) -> Subscription:
    """One handler as data; options that are unknown or of a wrong type are refused."""
    where = f"{service}.{name}"
    for option, value in options.items():
        if option not in _OPTIONS:
            near = get_close_matches(option, _OPTIONS, 1)
            raise DeclarationError(
                f"{where}: {option}= is unknown; " + (f"did you mean {near[0]}=?" if near else f"give {_OPTIONS_TEXT}")
            )
        if not isinstance(value, _OPTIONS[option]):
            raise DeclarationError(
                f"{where}: {option}={value!r} is no {_OPTIONS[option].__name__}; give one, or leave it out"
            )
    if options.get("timeout", HANDLER_TIMEOUT) <= timedelta(0):
        raise DeclarationError(f"{where}: timeout={options['timeout']} leaves no time; give more than nothing")
    concurrency, prefetch = _pace(options.get("concurrency"), options.get("prefetch"), where)
    returned = returned_of(signature.returns, where)
    return Subscription(
        service=service,
        name=name,
        call=fn,
        heard=heard,
        says=returned.says,
        scheduled=returned.scheduled,
        retry=options.get("retry", Retry()),
        breaker=options.get("breaker"),
        timeout=options.get("timeout", HANDLER_TIMEOUT),
        idempotent=options.get("idempotent", False),
        concurrency=concurrency,
        prefetch=prefetch,
        former=former_of(options["formerly"], name, where) if "formerly" in options else (),
    )


def _pace(concurrency: int | None, prefetch: int | None, where: str) -> tuple[int, int]:
    """How many attempts at once, and how many deliveries ahead; what is not named follows what is."""
    for word, value, most in (("concurrency", concurrency, MAX_CONCURRENCY), ("prefetch", prefetch, MAX_PREFETCH)):
        if value is not None and (isinstance(value, bool) or not 1 <= value <= most):
            raise DeclarationError(f"{where}: {word}={value} is out of bounds; give 1 to {most}, or leave it out")
    if concurrency is not None and prefetch is not None and prefetch < concurrency:
        raise DeclarationError(
            f"{where}: prefetch={prefetch} never lets concurrency={concurrency} work at once; give at least as many"
        )
    if concurrency is None:
        concurrency = CONCURRENCY if prefetch is None else min(CONCURRENCY, prefetch)
    return concurrency, max(PREFETCH, concurrency) if prefetch is None else prefetch


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

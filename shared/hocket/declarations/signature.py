"""Reads and checks the signatures of handlers, undos and `on_dead` functions, and the decorators' options. Pure."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from hocket.breaker import Breaker
from hocket.declarations.annotations import (
    alternatives,
    answer_of,
    check_readable,
    heard_of,
    is_model,
    returned_of,
    text_of,
    unreadable,
)
from hocket.declarations.history.since import since_of
from hocket.declarations.names import former_of
from hocket.declarations.ordering.option import ordered_of
from hocket.declarations.subscription import (
    CONCURRENCY,
    HANDLER_TIMEOUT,
    MAX_CONCURRENCY,
    MAX_PREFETCH,
    Subscription,
)
from hocket.drift.asked import mode_of
from hocket.errors import DeclarationError
from hocket.event import Death, Event, Heard
from hocket.retry import Retry

_OPTIONS: dict[str, type] = {
    "name": str,
    "formerly": object,
    "retry": Retry,
    "breaker": Breaker,
    "timeout": timedelta,
    "idempotent": bool,
    "ordered": object,
    "concurrency": int,
    "prefetch": int,
    "allow": object,
    "latest_by": object,
    "after": object,
    "within": object,
    "since": object,
    "side_effects": bool,
    "drift": object,
}
_OPTIONS_TEXT = ", ".join(f"{option}=" for option in _OPTIONS)


@dataclass(frozen=True, slots=True)
class Signature:
    """The annotations of a function's parameters, in order, and of what it returns."""

    parameters: tuple[Any, ...]
    returns: Any


def signature_of(fn: Callable[..., Any], where: str, form: str, plain: bool = False) -> Signature:
    """Read a function that must look like `form`; `plain`: it must not be async. Raises `DeclarationError`."""
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise DeclarationError(f"{where}: the function yields; return a list instead: {form}")
    if not inspect.isfunction(fn) or inspect.iscoroutinefunction(fn) is plain:
        blocking = "" if plain else "; what blocks is called in it by `await tx.blocking(function, argument, ...)`"
        raise DeclarationError(f"{where}: is not {'a plain' if plain else 'an async'} function; write {form}{blocking}")
    try:
        signature = inspect.signature(fn)
    except NameError as error:
        raise unreadable(where, str(error)) from error
    parameters = signature.parameters.values()
    if len(parameters) != form.partition(")")[0].count(":") or any(
        each.kind not in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD} or each.default is not each.empty
        for each in parameters
    ):
        raise DeclarationError(f"{where}: the parameters are {signature}; write {form}")
    for each in parameters:
        if each.annotation is each.empty:
            raise DeclarationError(f"{where}: parameter {each.name} has no annotation; write {form}")
        check_readable(each.annotation, where)
    if signature.return_annotation is signature.empty:
        raise DeclarationError(
            f"{where}: there is no return annotation, which names what is said; write {form}, or -> None"
        )
    check_readable(signature.return_annotation, where)
    return Signature(tuple(each.annotation for each in parameters), signature.return_annotation)


def check_event(event: object, where: str) -> None:
    """Refuse what is not an `Event` class. Raises `DeclarationError`."""
    if not is_model(event, Event):
        raise DeclarationError(f"{where}: {text_of(event)} is not an Event; name the class of an event of this service")


def check_did(annotation: Any, did: type[Event], many: bool, where: str) -> None:
    """Refuse an undo whose second parameter is not what the step said, or None. Raises `DeclarationError`."""
    if many:
        right = get_origin(annotation) is list and get_args(annotation) == (did,)
        form = f"list[{did.__name__}]"
    else:
        right = get_origin(annotation) in {Union, UnionType} and set(get_args(annotation)) == {did, NoneType}
        form = f"{did.__name__} | None"
    if not right:
        raise DeclarationError(
            f"{where}: the second parameter is {text_of(annotation)}; write {form}: "
            f"it is {'an empty list' if many else 'None'} when nobody knows whether the step took effect"
        )


def check_death(signature: Signature, where: str) -> tuple[type[Event], ...]:
    """What an `on_dead` function says: always one event. Raises `DeclarationError`."""
    if signature.parameters[1] is not Death:
        raise DeclarationError(f"{where}: the second parameter says why the delivery was given up; write death: Death")
    for each in alternatives(signature.returns, where):
        if not is_model(each, Event):
            raise DeclarationError(
                f"{where}: returns {text_of(each)}; on_dead always says one event of this service: -> A, or -> A | B"
            )
    return returned_of(signature.returns, where).says


def check_input(signature: Signature, of: Subscription, where: str) -> None:
    """Refuse an undo or `on_dead` whose first parameter is not what the step hears. Raises `DeclarationError`."""
    if set(heard_of(signature.parameters[0], where)) != set(of.heard):
        raise DeclarationError(
            f"{where}: the first parameter is {text_of(signature.parameters[0])}, but {of.queue} hears "
            f"{' | '.join(each.__name__ for each in of.heard)}; write that"
        )


def check_step_says(step: Callable[..., Any], of: Subscription, did: type[Event], where: str) -> bool:
    """Whether the step says `did` in a list.

    Raises `DeclarationError` for a `did` that the step does not say, or says several times without a list.
    """
    returned = returned_of(inspect.signature(step).return_annotation, of.queue)
    if did not in returned.says:
        said = ", ".join(each.__name__ for each in returned.says) or "nothing at once"
        raise DeclarationError(f"{where}: {of.queue} says {said}, not {text_of(did)}; name an event that it says")
    if did in returned.repeated:
        raise DeclarationError(
            f"{where}: {of.queue} may say several {did.__name__}; return list[…] there, so that the undo gets them all"
        )
    return returned.many


def fields_of(by: object, where: str) -> tuple[str, ...]:
    """The fields that `by=` names. Raises `DeclarationError`."""
    fields = (by,) if isinstance(by, str) else by
    if not isinstance(fields, tuple) or not all(isinstance(each, str) and each for each in fields):
        raise DeclarationError(f'{where}: by={by!r} does not name fields; write by="order_id", or a tuple of names')
    return fields


def subscription_of(
    service: str,
    name: str,
    fn: Callable[..., Any],
    heard: tuple[type[Heard], ...],
    signature: Signature,
    options: Mapping[str, Any],
) -> Subscription:
    """One handler as data. Raises `DeclarationError` for options that are unknown or invalid."""
    where = f"{service}.{name}"
    for option, value in options.items():
        if option not in _OPTIONS:
            near = get_close_matches(option, _OPTIONS, 1)
            raise DeclarationError(
                f"{where}: {option}= is unknown; " + (f"did you mean {near[0]}=?" if near else f"give {_OPTIONS_TEXT}")
            )
        if not isinstance(value, _OPTIONS[option]):
            raise DeclarationError(
                f"{where}: {option}={value!r} is not of type {_OPTIONS[option].__name__}; give one, or leave it out"
            )
    if options.get("timeout", HANDLER_TIMEOUT) <= timedelta(0):
        raise DeclarationError(f"{where}: timeout={options['timeout']} is not positive; give a timedelta above 0")
    concurrency, prefetch = _limits(options.get("concurrency"), options.get("prefetch"), where)
    returned = returned_of(signature.returns, where)
    return Subscription(
        service=service,
        name=name,
        call=fn,
        heard=heard,
        says=returned.says,
        scheduled=returned.scheduled,
        answer=answer_of(signature.returns, where),
        retry=options.get("retry", Retry()),
        breaker=options.get("breaker"),
        timeout=options.get("timeout", HANDLER_TIMEOUT),
        idempotent=options.get("idempotent", False),
        ordered=ordered_of(options, where),
        concurrency=concurrency,
        prefetch=prefetch,
        since=since_of(options["since"], where) if "since" in options else None,
        side_effects=options.get("side_effects", False),
        drift=mode_of(options, where),
        former=former_of(options["formerly"], name, where) if "formerly" in options else (),
    )


def _limits(concurrency: int | None, prefetch: int | None, where: str) -> tuple[int, int | None]:
    """Concurrency and prefetch; one that is not named follows from the other. Raises `DeclarationError`."""
    for word, value, most in (("concurrency", concurrency, MAX_CONCURRENCY), ("prefetch", prefetch, MAX_PREFETCH)):
        if value is not None and (isinstance(value, bool) or not 1 <= value <= most):
            raise DeclarationError(f"{where}: {word}={value} is out of bounds; give 1 to {most}, or leave it out")
    if concurrency is not None and prefetch is not None and prefetch < concurrency:
        raise DeclarationError(
            f"{where}: prefetch={prefetch} is lower than concurrency={concurrency}, which it would limit; give "
            "at least as many"
        )
    if concurrency is None:
        concurrency = CONCURRENCY if prefetch is None else min(CONCURRENCY, prefetch)
    return concurrency, prefetch

"""Checks the fields that make the scope of a step (RULES 5.1): equal values must be seen as equal. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from hocket.errors import DeclarationError
from hocket.event import SENSITIVE, Event, Heard
from hocket.event_data import identity

#: The longest time for which an undo may ask that runs are remembered.
MAX_REMEMBER = timedelta(days=3660)


def check_scope(
    name: str, heard: Sequence[type[Heard]], failures: Sequence[type[Heard]], did: Sequence[type[Heard]], where: str
) -> None:
    """Refuse a field of `by=` that input, result and failures do not all read alike, in each of their versions.

    Raises `DeclarationError`, which names both fields.
    """
    whose = "the input, of the result and of every failure, in every version that is read"
    check_read_alike(name, (*heard, *failures, *did), whose, where)


def check_read_alike(name: str, models: Sequence[type[Heard]], whose: str, where: str) -> None:
    """Refuse a field that these models do not all have and read alike. Raises `DeclarationError`, which names both."""
    for model in models:
        if name not in model.model_fields:
            raise DeclarationError(
                f"{where}: by={name!r} must be a field of {whose}, but {model.__name__} has no such field; add it "
                "there or name another"
            )
    first = models[0]
    for model in models:
        info = model.model_fields[name]
        both = f"{where}: by={name!r} compares {first.__name__}.{name} with {model.__name__}.{name}"
        if fault := identity.fault_of(info):
            raise DeclarationError(f"{both}, and {model.__name__}.{name} {fault}")
        if not info.is_required():
            raise DeclarationError(
                f"{both}, and {model.__name__}.{name} has a default, so that all events without it would have one "
                "scope; make it required"
            )
        if not identity.reads_alike(first, model, name, SENSITIVE):
            raise DeclarationError(
                f"{both}, which are declared differently: {_shown(first, name)} and {_shown(model, name)}; equal "
                "values might look different: declare both with one annotation, with its validators and constraints"
            )


def check_across(across: object, by: tuple[str, ...], where: str) -> bool:
    """Whether failures of every flow reach the step. `DeclarationError` where no field says what happens once."""
    if not isinstance(across, bool):
        raise DeclarationError(f"{where}: across={across!r} is not True or False; write across=True, or leave it out")
    if across and not by:
        raise DeclarationError(
            f'{where}: across=True needs by=, which names what happens once, as by="order_id": a failure of that '
            "scope, said in any flow, reaches the step"
        )
    return across


def check_remember(remember: object, where: str) -> timedelta | None:
    """How long runs that took effect are kept, None where the undo does not say. Raises `DeclarationError`."""
    if remember is None:
        return None
    if not isinstance(remember, timedelta) or not timedelta() < remember <= MAX_REMEMBER:
        raise DeclarationError(
            f"{where}: remember={remember!r} is not a timedelta above 0 and at most {MAX_REMEMBER.days} days; name "
            "how long somebody may still cancel, as timedelta(days=365), or leave it out"
        )
    return remember


def is_sensitive(by: Sequence[str], models: Sequence[type[Heard] | type[Event]]) -> bool:
    """Whether a scope of these fields holds a value that must not be shown (RULES 5.4)."""
    return any(field in model.__hocket_sensitive__ for model in models for field in by)


def _shown(model: type[Heard], name: str) -> str:
    annotation = model.model_fields[name].annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)

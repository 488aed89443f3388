"""Checks the fields that make the scope of a step (RULES 5.1): equal values must be seen as equal. Pure."""

from collections.abc import Sequence

from hocket.errors import DeclarationError
from hocket.event import SENSITIVE, Event, Heard
from hocket.event_data import identity


def check_scope(
    name: str, heard: Sequence[type[Heard]], failures: Sequence[type[Heard]], did: type[Event], where: str
) -> None:
    """Refuse a field of `by=` that input and failures do not read alike; a result that has it too.

    Raises `DeclarationError`, which names both fields.
    """
    for model in (*heard, *failures):
        if name not in model.model_fields:
            raise DeclarationError(
                f"{where}: by={name!r} must be a field of the input and of every failure, but "
                f"{model.__name__} has no such field; add it there or name another"
            )
    first = heard[0]
    for model in (*heard, *failures, *((did,) if name in did.model_fields else ())):
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


def _shown(model: type[Heard], name: str) -> str:
    annotation = model.model_fields[name].annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)

"""Declares time-outs (RULES 5.7): what arms and what answers, within what time, for which scope. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast, get_args

from hocket.declarations.annotations import is_model, text_of
from hocket.declarations.scope import check_read_alike
from hocket.declarations.signature import fields_of
from hocket.declarations.subscription import Late, Overdue, name_of
from hocket.errors import DeclarationError
from hocket.event import Heard

#: The shortest and the longest time-out.
SHORTEST = timedelta(milliseconds=1)
LONGEST = timedelta(days=3650)


def overdue_of(within: object, options: dict[str, Any], heard: tuple[type[Heard], ...], where: str) -> Overdue:
    """Take what makes a time-out out of the decorator's options. Raises `DeclarationError`."""
    if not isinstance(within, timedelta) or not SHORTEST <= within <= LONGEST:
        raise DeclarationError(
            f"{where}: overdue({within!r}) is not a time to wait; give a timedelta from 1 ms to {LONGEST.days} days"
        )
    if options.get("idempotent"):
        raise DeclarationError(
            f"{where}: idempotent=True writes no inbox row, and a time-out decides by it; remove idempotent=True "
            "(RULES 2.6)"
        )
    unless = _unless(options.pop("unless", ()), heard, where)
    by = fields_of(options.pop("by", ()), where)
    across = options.pop("across", False)
    late = options.pop("late", "undone")
    if not isinstance(across, bool):
        raise DeclarationError(f"{where}: across={across!r} is neither True nor False; give one, or leave it out")
    if across and not by:
        raise DeclarationError(
            f'{where}: across=True needs by=, which names what happens once; write by="order_id", or leave across= out'
        )
    if late not in get_args(Late):
        raise DeclarationError(
            f'{where}: late={late!r} is unknown; give "undone" where a late answer is undone by what the time-out '
            'says, or "accepted" where it stands'
        )
    for name in by:
        check_read_alike(name, (*heard, *unless), "what arms and of what answers", where)
    return Overdue(within, unless, by, across, cast("Late", late))


def _unless(given: object, heard: tuple[type[Heard], ...], where: str) -> tuple[type[Heard], ...]:
    models = given if isinstance(given, tuple) else (given,)
    if not models:
        raise DeclarationError(
            f"{where}: nothing answers this time-out; give unless= with the events that do, unless=(A, B); what is to "
            "be said later in any case is a Scheduled"
        )
    for model in models:
        if not is_model(model, Heard):
            raise DeclarationError(
                f"{where}: unless={text_of(model)} is not an event; give the model of what answers, or a tuple"
            )
    known = {name_of(model): model for model in heard}
    for model in models:
        if known.setdefault(name_of(model), model) is not model:
            type_, version = name_of(model)
            raise DeclarationError(
                f"{where}: {known[type_, version].__name__} and {model.__name__} both read {type_} version {version}; "
                "keep one of them"
            )
    return tuple(dict.fromkeys(models))


def described(overdue: Overdue | None) -> Mapping[str, object] | None:
    """A time-out as the manifest tells it (docs/wire.md#receipts)."""
    if overdue is None:
        return None
    return {
        "within": overdue.within.total_seconds(),
        "unless": [list(name_of(model)) for model in overdue.unless],
        "across": overdue.across,
        "late": overdue.late,
    }

"""Declares what an older value and a missing predecessor do to a handler (RULES 15): `latest_by`, `after`. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from hocket.declarations.scope import is_sensitive
from hocket.declarations.subscription import LatestBy, Subscription
from hocket.errors import DeclarationError
from hocket.event import Heard
from hocket.event_data.sorting import TYPES_TEXT, kind_of

#: The longest time that a delivery waits for its predecessor.
MAX_WITHIN = timedelta(days=30)
#: The options of a handler that are checked here.
OPTIONS = ("latest_by", "after", "within")


def check_absent(options: Mapping[str, Any], what: str, where: str) -> None:
    """Refuse these options above what is no handler. Raises `DeclarationError`."""
    for option in OPTIONS:
        if option in options:
            raise DeclarationError(f"{where}: {option}= is an option of a handler, and this is {what}; leave it out")


def check_no_latest(step: Subscription, where: str) -> None:
    """Refuse an undo of a handler with `latest_by`. Raises `DeclarationError`."""
    if step.latest_by is not None:
        raise DeclarationError(
            f"{where}: {step.queue} has latest_by=, and a step has none: a run that is rolled back as stale may have "
            "taken effect outside, which its undo would not know; let another handler keep the latest (RULES 15.3)"
        )


def set_guards(
    made: Subscription,
    options: Mapping[str, Any],
    known: Callable[[Callable[..., Any]], Subscription | None],
    where: str,
) -> None:
    """Set what `latest_by=`, `after=` and `within=` declare; `known` finds a handler. Raises `DeclarationError`."""
    if options.get("idempotent") and (given := [each for each in OPTIONS[:2] if each in options]):
        raise DeclarationError(
            f"{where}: idempotent=True writes no inbox row, and {given[0]}= decides by it; remove one of them "
            "(RULES 2.6)"
        )
    if "latest_by" in options:
        made.latest_by = _latest(options["latest_by"], made.heard, where)
    if "after" in options:
        made.within = _within(options.get("within"), where)
        made.after = _first(options["after"], known, where)
    elif "within" in options:
        raise DeclarationError(f"{where}: within= bounds the wait for after=, which is missing; give both")


def described(subscription: Subscription) -> Mapping[str, object]:
    """Both as the manifest tells them (docs/wire.md#receipts); nothing of what is not declared."""
    told: dict[str, object] = {}
    if subscription.latest_by is not None:
        told["latest_by"] = subscription.latest_by.field
    if subscription.after is not None:
        told |= {"after": subscription.after.queue, "within": subscription.within.total_seconds()}
    return told


def check_not_sensitive(latest: LatestBy | None, models: Sequence[type[Heard]], where: str) -> None:
    """Refuse a field that is sensitive in one of these models. Raises `DeclarationError`."""
    if latest is not None and is_sensitive((latest.field,), models):
        whose = next(each.__name__ for each in models if is_sensitive((latest.field,), (each,)))
        raise DeclarationError(
            f"{where}: latest_by={latest.field!r} is sensitive in {whose}, and its value would be stored so that it "
            "sorts, which a pseudonym does not; name a field that is not sensitive, as a version or a moment"
        )


def _latest(field: object, heard: Sequence[type[Heard]], where: str) -> LatestBy:
    if not isinstance(field, str) or not field:
        raise DeclarationError(f'{where}: latest_by={field!r} does not name a field; write latest_by="updated_at"')
    kinds: dict[str, type[Heard]] = {}
    for model in heard:
        info = model.model_fields.get(field)
        if info is None:
            raise DeclarationError(
                f"{where}: latest_by={field!r} must be a field of every event that it hears, but {model.__name__} has "
                "no such field; add it there, name another, or hear that event in another handler"
            )
        kind = kind_of(info.annotation)
        if not kind:
            shown = info.annotation.__name__ if isinstance(info.annotation, type) else str(info.annotation)
            raise DeclarationError(
                f"{where}: latest_by={field!r} is {shown} in {model.__name__}, whose values may be missing or do not "
                f"sort in one way; use {TYPES_TEXT}"
            )
        if not info.is_required():
            raise DeclarationError(
                f"{where}: latest_by={field!r} has a default in {model.__name__}, so that all events without it would "
                "count as equally old; make it required"
            )
        kinds.setdefault(kind, model)
    if len(kinds) > 1:
        (one, first), (other, second), *_ = kinds.items()
        raise DeclarationError(
            f"{where}: latest_by={field!r} is of kind {one} in {first.__name__} and {other} in {second.__name__}, "
            "which do not sort together; use one type"
        )
    check_not_sensitive(made := LatestBy(field, next(iter(kinds))), heard, where)
    return made


def _within(within: object, where: str) -> timedelta:
    if not isinstance(within, timedelta) or not timedelta() < within <= MAX_WITHIN:
        raise DeclarationError(
            f"{where}: after= needs within=, a timedelta above 0 and at most {MAX_WITHIN.days} days, and got "
            f"{within!r}: when that is over it runs all the same; write within=timedelta(minutes=5)"
        )
    return within


def _first(first: object, known: Callable[[Callable[..., Any]], Subscription | None], where: str) -> Subscription:
    found = known(first) if callable(first) else None
    if found is None:
        raise DeclarationError(
            f"{where}: after={getattr(first, '__qualname__', first)} is not a handler of this service that is declared "
            "above; name one, so that none waits for itself. What other services do is heard as their event"
        )
    if found.undo is not None or found.overdue is not None:
        what = "an undo" if found.undo is not None else "a time-out"
        raise DeclarationError(f"{where}: after= names {found.queue}, which is {what}; name an ordinary handler")
    if found.idempotent:
        raise DeclarationError(
            f"{where}: after= names {found.queue}, which is idempotent=True and keeps no row of what it has handled; "
            "remove idempotent=True there (RULES 2.6)"
        )
    return found

"""The options `since=` and `side_effects=`: which handlers may hear history, and from when on (RULES 7.5 h). Pure."""

from datetime import UTC, datetime

from hocket.declarations.subscription import Since, Subscription
from hocket.errors import DeclarationError


def since_of(given: object, where: str) -> Since:
    """What `since=` names. Raises `DeclarationError`."""
    if given == "first":
        return "first"
    if not isinstance(given, datetime):
        raise DeclarationError(
            f'{where}: since={given!r} is no moment; write since="first" for all that the log holds, or a datetime'
        )
    if given.tzinfo is None:
        raise DeclarationError(
            f"{where}: since={given!r} has no time zone, so it would be another moment on another machine; write "
            "datetime(…, tzinfo=UTC)"
        )
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise DeclarationError(f"{where}: since={given!r} is no moment in UTC; write an existing one") from None


def check_history(made: Subscription, step: Subscription | None) -> None:
    """Refuse history where it would act again on the world; `step` is what `made` undoes. Raises `DeclarationError`."""
    if step is not None and step.since is not None:
        raise DeclarationError(
            f"{made.queue}: {step.queue} has since= and cannot be a step: steps are never run for history; remove "
            "since= there, or let a handler of its own hear history"
        )
    if made.since is None:
        if made.side_effects:
            raise DeclarationError(
                f"{made.queue}: side_effects=True is about reading history, and there is no since=; remove it, or name "
                'since="first"'
            )
        return
    if made.undo is not None:
        raise DeclarationError(f"{made.queue}: an undo hears no history; remove since=")
    if made.overdue is None and not made.side_effects and (made.says or made.scheduled):
        says = ", ".join(each.__name__ for each in (*made.says, *made.scheduled))
        raise DeclarationError(
            f"{made.queue}: since= lets it hear history, and it would say {says} of what is long past; let a handler "
            "that says nothing hear history, or write side_effects=True where saying it now is right"
        )


def check_last_word(of: Subscription, where: str) -> None:
    """Refuse an `on_dead` that would speak of history. Raises `DeclarationError`."""
    if of.since is not None and of.overdue is None and not of.side_effects:
        raise DeclarationError(
            f"{where}: {of.queue} has since=, and on_dead would say an event of what is long past; remove on_dead or "
            "since=, or write side_effects=True there where saying it now is right"
        )

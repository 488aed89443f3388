"""The option `ordered=`: what it may be, and what cannot be with it (RULES 9). Pure."""

from collections.abc import Mapping
from typing import Any, Literal

from hocket.errors import DeclarationError

#: One run of a subject at a time, in order; True: a dead one blocks its subject; "skip": its successors go on.
Ordered = bool | Literal["skip"]
#: The end of the name of an ordered queue: `SERVICE.HANDLER.ordered`.
SUFFIX = ".ordered"
#: Unsettled deliveries of an ordered queue, the same in all releases (RULES 9.2); times the largest event it bounds the
#: bytes that are in hand.
WINDOW = 256


def ordered_of(options: Mapping[str, Any], where: str) -> Ordered:
    """What `ordered=` says. Raises `DeclarationError` for what it may not be, or for what it cannot be with."""
    given = options.get("ordered", False)
    if given is not True and given is not False and given != "skip":
        raise DeclarationError(
            f"{where}: ordered={given!r} is not known; write ordered=True, where a dead one blocks its subject, or "
            'ordered="skip", where its successors go on'
        )
    if not given:
        return False
    if options.get("idempotent"):
        raise DeclarationError(
            f"{where}: ordered= needs the inbox row that idempotent=True leaves out: without it nobody knows which of "
            "a subject was handled; remove one of the two"
        )
    if options.get("prefetch") is not None:
        raise DeclarationError(
            f"{where}: ordered= has a window of {WINDOW} deliveries, the same in all releases, because what a dead "
            "process held is put in order within it; remove prefetch="
        )
    return "skip" if given == "skip" else True


def refuse_step(ordered: Ordered, queue: str, where: str) -> None:
    """An ordered handler has no undo: its run would be begun in the ledger before its turn comes."""
    if ordered:
        raise DeclarationError(
            f"{where}: {queue} is ordered, and a step cannot be: its run is begun in the ledger when it arrives, "
            "before its turn, and a failure would undo what still waits; let the ordered handler say an event, and let "
            "a step of its own hear that"
        )


def refuse_option(options: Mapping[str, Any], what: str, where: str) -> None:
    """What no order can be given to: an undo, a time-out."""
    if options.get("ordered"):
        raise DeclarationError(f"{where}: {what} cannot be ordered; remove ordered= there")

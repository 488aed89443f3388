"""Errors as text: sensitive values hidden (RULES 18.1), of bounded length, nothing that a database cannot store."""

import traceback

from hocket.masking.mask import MAX_TEXT, Mask
from hocket.resilience.own_frames import from_own

#: Characters kept of an error's text and of its stack.
ERROR_CHARS = 2000
TRACE_CHARS = 6000
#: Characters kept of an error's class name.
CAUSE_CHARS = 200


def text_of(error: BaseException, mask: Mask) -> str:
    """An error's text, masked and cut to its bound; also for an error whose `__str__` raises."""
    try:
        return clean(mask.hide(str(error)))
    except BaseException as broken:  # noqa: BLE001 -- a team's __str__ may raise anything, SystemExit too
        return f"its text cannot be read: {type(broken).__name__}"


def clean(text: str) -> str:
    """Text that every store and header accepts: cut to its bound, no NUL, no lone surrogates."""
    return text[:ERROR_CHARS].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def stack(error: BaseException, mask: Mask, *, whole: bool = False) -> str:
    """The innermost part of an error's stack, masked and cut to its bound.

    It begins at the first frame of the team's own; with `whole`, at the kit's frames that called it.
    """
    shown = error.__traceback__ if whole else from_own(error)
    lines = "".join(traceback.format_exception(type(error), error, shown))
    return clean_trace(mask.hide(lines[-MAX_TEXT:]))


def clean_trace(lines: str) -> str:
    """The last characters of a stack: the innermost frames say most."""
    return lines[-TRACE_CHARS:].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()

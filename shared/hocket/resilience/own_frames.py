"""Which frames of a stack are the team's own: not of the kit, of Python's library or of an installed package.

The one place that decides it for stacks in logs, letters and tests, and for what pauses a subscription.
"""

import os
import sysconfig
from collections.abc import Callable
from inspect import unwrap
from pathlib import Path
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Any

from hocket.resilience import isolation

_KIT = str(Path(__file__).parents[1]) + os.sep
_INSTALLED = tuple({sysconfig.get_path(each) + os.sep for each in ("purelib", "platlib")})
_LIBRARY = tuple({sysconfig.get_path(each) + os.sep for each in ("stdlib", "platstdlib")})
#: How the files of modules begin that are part of the interpreter.
_FROZEN = "<frozen "


def from_own(error: BaseException) -> TracebackType | None:
    """An error's stack from the first frame of the team's own on; the whole stack where it has none.

    A team's code may be an installed package: then its first frame is the one that the kit called as a handler.
    """
    first: TracebackType | None = None
    called = False
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if not _is_foreign(file):
            return frame
        called = called or file == isolation.__file__
        if first is None and called and file.startswith(_INSTALLED) and not file.startswith(_KIT):
            first = frame
        frame = frame.tb_next
    return first or error.__traceback__


def innermost_own(error: BaseException, handler: Callable[..., Any] | None = None) -> str:
    """`handlers.py:57 in record_order`: the innermost line of the team's own.

    Where it has none: where `handler` is defined, or else the innermost line of all.
    """
    own = last = ""
    for frame, line in walk_tb(error.__traceback__):
        last = _named(frame.f_code, line)
        if not _is_foreign(frame.f_code.co_filename):
            own = last
    return own or defined_at(handler) or last


def defined_at(handler: Callable[..., Any] | None) -> str:
    """Where a handler is defined, as `file:line in name`; "" where that is not known."""
    code = getattr(unwrap(handler), "__code__", None) if handler is not None else None
    return _named(code, code.co_firstlineno) if isinstance(code, CodeType) else ""


def _named(code: CodeType, line: int) -> str:
    return f"{Path(code.co_filename).name}:{line} in {code.co_name}"


def _is_foreign(file: str) -> bool:
    return file.startswith((_KIT, *_INSTALLED, *_LIBRARY, _FROZEN))

"""Which frames of a stack are the team's own: not of the kit, of Python's library or of an installed package.

The one place that decides it for stacks in logs, letters and tests, and for what pauses a subscription.
"""

import os
import sysconfig
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

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


def innermost_own(error: BaseException) -> str:
    """`handlers.py:57 in record_order`: the innermost line of the team's own; of all where it has none."""
    own = last = ""
    for frame, line in walk_tb(error.__traceback__):
        code = frame.f_code
        last = f"{Path(code.co_filename).name}:{line} in {code.co_name}"
        if not _is_foreign(code.co_filename):
            own = last
    return own or last


def _is_foreign(file: str) -> bool:
    return file.startswith((_KIT, *_INSTALLED, *_LIBRARY, _FROZEN))

"""One form for all that `hocket check` finds: code, place, sentence, way out, and why it is allowed. Pure."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hocket.event import Heard


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a valid declaration most likely does not mean."""

    code: str  # one of docs/checks.md
    file: str  # of the declaration; "" where nobody knows it
    line: int  # 0: nobody knows it
    sentence: str
    way_out: str
    allowed: str = ""  # the reason that its declaration gives; "": it is not allowed

    def described(self) -> dict[str, object]:
        """As `hocket check --json` prints it."""
        return {
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "sentence": self.sentence,
            "way_out": self.way_out,
            "allowed": self.allowed or None,
        }


def found(code: str, at: Callable[..., Any], allow: Mapping[str, str], sentence: str, way_out: str) -> Finding:
    """A finding at the function that was declared."""
    code_object = getattr(inspect.unwrap(at), "__code__", None)
    file, line = (code_object.co_filename, code_object.co_firstlineno) if code_object is not None else ("", 0)
    return Finding(code, file, line, sentence, way_out, allow.get(code, ""))


def types_of(models: Sequence[type[Heard]]) -> set[str]:
    """The types of these models."""
    return {model.__hocket_type__ for model in models}


def seconds(time: float) -> str:
    """A time as findings write it."""
    return f"{time:g} s"

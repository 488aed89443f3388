"""Groups letters by cause: the error without its numbers, and the innermost frame of the team's own code. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import hocket

#: Longest normalised error, in characters: what comes after tells one letter from the next, not one cause.
MAX_NORMAL = 160
#: Frames of one stack that are shown.
MAX_FRAMES = 100

_CHANGING = re.compile(
    r"(?P<id>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{16,}\b)"
    r"|(?P<mail>[^\s@<>'\"]+@[\w.-]+)"
    r"|(?P<n>(?:(?<![A-Za-z]-)\d+|(?<=[A-Za-z]-)\d{2,})(?:[.,:]\d+)*)"
)
#: How a stack begins that is not cut.
HEAD = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "(?P<file>.+?)", line (?P<line>\d+)(?:, in (?P<name>.+))?')
#: The kit's own modules, by their path below the package; those in a folder, since `hocket/service.py` may be a team's.
_KIT = frozenset(
    each.relative_to(_PACKAGE).as_posix()
    for _PACKAGE in [Path(hocket.__file__).parent]
    for each in _PACKAGE.glob("*/**/*.py")
)
#: Folders of Python's own library and of installed packages; the group is the package within the latter.
_LIBRARY = re.compile(r"/lib(?:64)?/python3(?:\.\d+)?/(?:(?:site|dist)-packages/([^/]+))?")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack: where, its source line where the stack shows it, whether it is the team's own code."""

    file: str
    line: int
    name: str
    code: str
    own: bool

    @property
    def short(self) -> str:
        """`handlers.py:57 record_order`."""
        return f"{PurePath(self.file).name}:{self.line} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Line:
    """One part of a shown stack: text, an own frame (the innermost is `marked`), or folded foreign frames."""

    kind: str  # text, own, folded
    text: str = ""
    code: str = ""
    marked: bool = False
    frames: tuple[Frame, ...] = ()


def normalised(error: str) -> str:
    """The first line of an error with what differs from letter to letter replaced: `‹n›`, `‹id›`, `‹mail›`."""
    first = error.strip().partition("\n")[0][: 4 * MAX_NORMAL]
    return _CHANGING.sub(lambda found: f"‹{found.lastgroup}›", first)[:MAX_NORMAL]


def frame_of(trace: str) -> str:
    """The innermost own frame of a stack, "" where there is none."""
    own = [each for each in _owned(_frames(trace.splitlines())) if isinstance(each, Frame) and each.own]
    return own[-1].short if own else ""


def stack(trace: str) -> list[Line]:
    """A stack as it is shown: own frames whole, foreign ones folded, the innermost own one marked."""
    parts = _owned(_frames(trace.splitlines()))
    last = max((at for at, each in enumerate(parts) if isinstance(each, Frame) and each.own), default=-1)
    lines: list[Line] = []
    folded: list[Frame] = []
    for at, each in enumerate(parts[-MAX_FRAMES:], max(0, len(parts) - MAX_FRAMES)):
        if isinstance(each, Frame) and not each.own:
            folded.append(each)
            continue
        lines += _fold(folded)
        folded = []
        if isinstance(each, str):
            lines.append(Line("text", each))
        else:
            where = f'File "{each.file}", line {each.line}' + (f", in {each.name}" if each.name else "")
            lines.append(Line("own", where, each.code, marked=at == last))
    return lines + _fold(folded)


def _fold(frames: list[Frame]) -> list[Line]:
    if not frames:
        return []
    count = f"{len(frames)} foreign frame{'s' if len(frames) > 1 else ''}"
    return [Line("folded", count, frames=tuple(frames))]


def _frames(lines: Iterable[str]) -> Iterator[Frame | str]:
    """Frames with their source lines, and what stands between them."""
    waiting: re.Match[str] | None = None
    for line in lines:
        found = _FRAME.match(line)
        if waiting is not None:
            deeper = found is None and line.startswith("    ")
            yield _frame(waiting, line.strip() if deeper else "")
            waiting = None
            if deeper:
                continue
        if found is not None:
            waiting = found
        elif line.strip() and not set(line.strip()) <= set("^~"):
            yield line.rstrip()
    if waiting is not None:
        yield _frame(waiting, "")


def _frame(found: re.Match[str], code: str) -> Frame:
    return Frame(found["file"], int(found["line"][:9]), found["name"] or "", code, own=True)


def _owned(parts: Iterable[Frame | str]) -> list[Frame | str]:
    """The same with each frame marked as own or foreign, by the package that it belongs to.

    The kit is where its own modules stand, whatever the folders above are called. The team's is the first frame of the
    last stack, or where that is the kit's, the first frame that the kit calls; so is the package of that frame where it
    is an installed one. All else that is installed is foreign.
    """
    whole = list(parts)
    roots = {root for each in whole if isinstance(each, Frame) and (root := _kit_root(each.file))}

    def of_kit(file: str) -> bool:
        return any(file.startswith(root) for root in roots)

    frames = [each for each in whole if isinstance(each, Frame)]
    first = next((at for at, each in enumerate(frames) if of_kit(each.file)), len(frames))
    opening = _opening(whole)
    if opening is not None and not of_kit(opening.file):  # the kit's own frames are left out, `resilience/own_frames`
        team = _package(opening.file) or ""
    else:
        called = (_package(each.file) for each in frames[first:] if not of_kit(each.file))
        team = next((package or "" for package in called if package != ""), "")
    return [
        replace(each, own=_is_own(each.file, team) and not of_kit(each.file)) if isinstance(each, Frame) else each
        for each in whole
    ]


def _opening(parts: Iterable[Frame | str]) -> Frame | None:
    """The first frame of the last stack, which is the error's own; None where its beginning is cut."""
    begins, opening = False, None
    for each in parts:
        if isinstance(each, str):
            begins = each == HEAD
        elif begins:
            begins, opening = False, each
    return opening


def _is_own(file: str, team: str) -> bool:
    if file.startswith("<"):
        return False
    package = _package(file)
    return package is None or (bool(package) and package == team)


def _package(file: str) -> str | None:
    """The installed package of a file, "" for Python's own library, None for what is not installed."""
    found = list(_LIBRARY.finditer(file.replace("\\", "/")))
    return None if not found else found[-1][1] or ""


def _kit_root(file: str) -> str:
    """The folder of the kit's package, where this is one of its modules; else ""."""
    parts = file.replace("\\", "/").split("/")
    for at, part in enumerate(parts):
        if part == "hocket" and "/".join(parts[at + 1 :]) in _KIT:
            return "/".join(parts[: at + 1]) + "/"
    return ""

"""What processes said: warnings by their shape, and which of them repeat. Pure but for the reading of files."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.crash.service_processes import MARK

#: How often one process may say the same warning: once belongs to something that happened; what is said twice in an
#: undisturbed run has no reason to end, and nobody reads a log that is full of it.
MOST_TIMES = 1
#: Levels of the kit's log that are counted.
LEVELS = frozenset({"warning", "error", "critical"})
#: Particulars that are no part of a shape.
LEFT_OUT = frozenset({"time", "level", "event"})
#: Lines of a broker's or a database's log that tell of an error.
TROUBLE = re.compile(r"\[error\]|\[critical\]|\b(?:ERROR|FATAL|PANIC):")

_MASKS = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE), "ID"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{6,}\b", re.IGNORECASE), "ID"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "N"),
)


def mask(text: str) -> str:
    """The text with every id and number replaced: two warnings of the same cause become the same."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text


def shape(line: str) -> str:
    """The shape of one line of a process's log; "" where it is none that is counted.

    A line that is no JSON object came from none of the kit's loggers, like a traceback, and counts.
    """
    line = line.strip()
    if not line or line.startswith(MARK.strip()):
        return ""
    try:
        said = json.loads(line)
    except ValueError:
        return mask(line)
    if not isinstance(said, dict):
        return mask(line)
    if said.get("level") not in LEVELS:
        return ""
    rest = " ".join(f"{name}={value}" for name, value in sorted(said.items()) if name not in LEFT_OUT)
    return mask(f"{said['level']} {said.get('event', '')} {rest}".strip())


def shapes(lines: Iterable[str]) -> Counter[str]:
    """How often each shape was said."""
    return Counter(found for line in lines if (found := shape(line)))


def repeating(said: Mapping[str, Counter[str]]) -> list[str]:
    """A sentence for every shape that a process said more often than it may; `said` is by process."""
    return [
        f"{name} said {times} times: {what}"
        for name, counted in said.items()
        for what, times in counted.most_common()
        if times > MOST_TIMES
    ]


def read(logs: Mapping[str, Path]) -> dict[str, Counter[str]]:
    """The shapes of every process's log."""
    found = {}
    for name, path in logs.items():
        with path.open(encoding="utf-8", errors="replace") as lines:
            found[name] = shapes(lines)
    return found


def troubles(log: Path) -> Counter[str]:
    """The errors in a broker's or a database's log, by shape."""
    if not log.exists():
        return Counter()
    with log.open(encoding="utf-8", errors="replace") as lines:
        return Counter(mask(line.strip()) for line in lines if TROUBLE.search(line))

"""Which dead letters the chaos itself explains; any other one is a finding. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.chaos.plan import Act, Do
from tests.chaos.shop import CALLS

#: Causes that an outside system's fault explains: no answer, a broken connection, a status that means illness.
NO_ANSWER = frozenset(
    {
        "ClientConnectorError",
        "ClientOSError",
        "ClientResponseError",
        "ConnectionTimeoutError",
        "ServerDisconnectedError",
        "ServerTimeoutError",
        "SocketTimeoutError",
        "TimeoutError",
        "timeout",
    }
)
ENDS = frozenset({Do.KILL, Do.FUSE, Do.REORDER})
PAUSES = frozenset({Do.PAUSE, Do.LONG_PAUSE})

Letter = Mapping[str, Any]


def explanation(letter: Letter, acts: Iterable[Act]) -> str:
    """What of the plan brought this letter about; "" where nothing did."""
    service, cause, done = letter["service"], letter["cause"], list(acts)
    if cause in NO_ANSWER and (target := CALLS.get(service)) is not None:
        kinds = sorted({act.what for act in done if act.do is Do.FAULT and act.who == target})
        return f"{target} was at fault: {', '.join(kinds)}" if kinds else ""
    if cause == "timeout" and any(act.do in PAUSES and act.who == service for act in done):
        return f"{service} was paused"
    if cause == "crash" and any(act.do in ENDS and act.who == service for act in done):
        return f"{service} was killed again and again"
    if cause == "too-old" and any(act.do is Do.CLOCK for act in done):
        return "a clock was wrong by days"
    return ""


def unexplained(letters: Iterable[Letter], acts: Iterable[Act]) -> list[Letter]:
    """The letters that nothing of the plan explains; one that became obsolete needs no explanation."""
    done = list(acts)
    return [each for each in letters if each["state"] != "obsolete" and not explanation(each, done)]

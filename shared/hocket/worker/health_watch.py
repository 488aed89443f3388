"""Watches why a service is not ready, and reports each change once: the link to the broker, and everything else."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hocket.runtime import Runtime

#: Seconds between two looks; a change of a connection is seen at once.
LOOK_SECONDS = 1.0
#: Different reasons that are reported while one outage lasts.
MAX_REASONS = 10
#: Reasons that every start passes through: they are reported where readiness is asked for, not as news.
STARTING = frozenset({"the database is not open yet", "the topology is being declared"})

_DETAIL = re.compile(r": [^;]*|\d+")


def kind_of(reason: str) -> str:
    """A reason without its details and numbers: a wait that grows, or another word of the same loss, is no news."""
    return _DETAIL.sub("", reason)


@dataclass(slots=True)
class HealthWatch:
    """Watches one service; `reasons` returns why it is not ready, apart from its link."""

    runtime: Runtime
    reasons: Callable[[], list[str]]
    _up: bool | None = None
    _of_link: set[str] = field(default_factory=set)  # kinds reported since the link was lost
    _of_rest: set[str] = field(default_factory=set)  # kinds reported since it was ready
    _ready: bool = False
    _over: bool = False

    async def run(self) -> None:
        """Look at every change of the link and every `LOOK_SECONDS`, until cancelled."""
        self.runtime.transport.on_change(self._look)
        try:
            while True:
                self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._over = True  # what a stop closes is no news

    def _look(self) -> None:
        if self._over:
            return
        self._look_at_link()
        reasons = self.reasons()
        for reason in reasons:
            kind = kind_of(reason)
            if reason in STARTING or kind in self._of_rest or len(self._of_rest) >= MAX_REASONS:
                continue
            self._of_rest.add(kind)
            self.runtime.signals.readiness(self.runtime.service, reason)
        if reasons or not self._up:
            self._ready = self._ready and not self._of_rest
        elif not self._ready:
            self._ready = True
            self._of_rest.clear()
            self.runtime.signals.readiness(self.runtime.service, "")

    def _look_at_link(self) -> None:
        link, signals = self.runtime.transport.link(), self.runtime.signals
        if link.ready:
            if not self._up:
                self._of_link.clear()
                signals.link(self.runtime.service, True, link.where)
            self._up = True
            return
        reason = "" if link.untried else link.reason
        fresh = kind_of(reason) not in self._of_link and len(self._of_link) < MAX_REASONS
        if self._up is not False or (reason and fresh):
            self._of_link.add(kind_of(reason))
            signals.link(self.runtime.service, False, reason)
        self._up = False

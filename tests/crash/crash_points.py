"""Where a process can be told to end itself: wraps around the stations, laid on by the launcher of the crash run."""

import asyncio
import functools
import os
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from hocket.broker.rabbitmq import publisher
from hocket.delivery import admit, commit, handle, intake
from hocket.outbox import backlog, outside_transactions, relay
from hocket.resilience import isolation
from hocket.worker import worker
from tests.crash import services
from tests.crash.ordering import services as ordered

#: Longest time between the last byte of a publish and the end, in seconds: somewhere in it the confirm comes.
FLIGHT_SECONDS = 0.004


class Fuse:
    """Ends this process as SIGKILL does, at the n-th pass of one point."""

    def __init__(self, point: str, passes: int) -> None:
        self._point = point
        self._left = passes

    def passed(self, point: str) -> None:
        """The process is at this point."""
        if self._burnt(point):
            end()

    def flying(self, point: str) -> None:
        """As `passed`, but the end comes a moment later, while the loop goes on."""
        if self._burnt(point):
            asyncio.get_running_loop().call_later(random.uniform(0.0, FLIGHT_SECONDS), end)

    def _burnt(self, point: str) -> bool:
        if point != self._point:
            return False
        self._left -= 1
        return self._left <= 0


def end() -> None:
    """No handler, no flush, no goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


Step = Callable[[], None]


def around(owner: Any, name: str, *, before: Step | None = None, after: Step | None = None) -> None:
    """Replace the coroutine function `name` of `owner` by itself between two steps."""
    inner: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(inner)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before()
        value = await inner(*args, **kwargs)
        if after is not None:
            after()
        return value

    setattr(owner, name, wrapped)


def around_call(owner: Any, name: str, *, before: Step | None = None, after: Step | None = None) -> None:
    """As `around`, for a plain function."""
    inner: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before()
        value = inner(*args, **kwargs)
        if after is not None:
            after()
        return value

    setattr(owner, name, wrapped)


def lay(fuse: Fuse) -> None:
    """Lay the fuse along the whole way of a delivery and of an outbox row."""

    def at(point: str) -> Step:
        return functools.partial(fuse.passed, point)

    around_call(intake.Intake, "deliver", after=at("received"))
    around(admit.Admission, "admit", after=at("admitted"))
    around(admit.Admission, "_begin", after=at("begun"))
    around(isolation.TeamRun, "result_of", after=at("handled"))
    around(handle.Handling, "_commit", before=at("before commit"), after=at("after commit"))
    around(commit.Committer, "_write", before=at("before group"), after=at("after group"))
    around_call(worker, "settle", before=at("before ack"), after=at("after ack"))
    around(publisher, "write_batch", after=functools.partial(fuse.flying, "published"))
    around(relay.Relay, "_answered", before=at("confirmed"))
    around(backlog.Backlog, "_delete", after=at("forgotten"))
    around(backlog.Backlog, "_claim", after=at("claimed"))
    around(outside_transactions.OutsideTransactions, "_commit", before=at("before say"), after=at("after say"))
    around(services.Bank, "call", after=at("called"))
    around(ordered.Outside, "call", after=at("called"))

    begin = backlog.Backlog.start

    async def start(self: backlog.Backlog) -> None:
        around(self.runtime.store, "take_over", before=at("before take-over"), after=at("after take-over"))
        await begin(self)

    backlog.Backlog.start = start  # type: ignore[method-assign]

"""The supervisor reports the first task that fails, and stops the others."""

import asyncio

from hocket.errors import ConfigError
from hocket.resilience.supervisor import Supervisor
from hocket.telemetry.signals import Listener, Signals


class Ear(Listener):
    """Records what was reported as trouble."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        self.heard.append(what)


async def _fail(error: Exception) -> None:
    raise error


async def test_a_task_that_fails_is_reported_with_its_message() -> None:
    """The first error counts; the kit's own errors keep their message, others are named."""
    ear = Ear()
    one, two = Supervisor("one", Signals([ear])), Supervisor("two", Signals([ear]))
    one.spawn("work", _fail(ConfigError("the port is taken")))
    two.spawn("work", _fail(ValueError("x")))
    await asyncio.gather(one.died.wait(), two.died.wait())
    assert (one.failed, two.failed) == ("the port is taken", "two: work died: ValueError: x")
    assert ear.heard == ["a task of the kit died"] * 2


async def test_a_task_can_distinguish_a_stop_from_its_own_cancellation() -> None:
    """`cancelling` is true only in tasks that the supervisor itself has cancelled."""
    supervisor = Supervisor("one", Signals())
    seen: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(supervisor.cancelling())
            raise

    accident = supervisor.spawn("accident", work())
    await asyncio.sleep(0)
    accident.cancel()
    await asyncio.wait([accident])
    supervisor.spawn("stop", work())
    await asyncio.sleep(0)
    await supervisor.stop()
    assert seen == [False, True]


async def test_a_task_that_ends_unasked_is_a_failure() -> None:
    """A task that somebody else cancels, or that returns although it runs until the stop, is never silent."""

    async def wait() -> None:
        await asyncio.sleep(60)

    async def end() -> None:
        await asyncio.sleep(0)

    for work, may_end, failed in (
        (wait, False, "one: work ended unasked: it was cancelled, and not by hocket"),
        (wait, True, "one: work ended unasked: it was cancelled, and not by hocket"),
        (end, False, "one: work ended unasked: it returned"),
        (end, True, ""),
    ):
        ear = Ear()
        supervisor = Supervisor("one", Signals([ear]))
        task = supervisor.spawn("work", work(), may_end=may_end)
        await asyncio.sleep(0)
        if work is wait:
            task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert (supervisor.failed, supervisor.died.is_set()) == (failed, bool(failed))
        assert ear.heard == ["a task of the kit died"] * bool(failed)


async def test_what_the_supervisor_stops_is_no_failure() -> None:
    """A stop cancels every task, and none of them counts as ended unasked."""
    supervisor = Supervisor("one", Signals())
    supervisor.spawn("work", asyncio.sleep(60))
    await asyncio.sleep(0)
    await supervisor.stop()
    assert not supervisor.failed

"""A process that did not run for a while: its time-outs get the time back, its calls no verdict (RULES 11.6)."""

import asyncio
import time
from datetime import timedelta

import pytest

from hocket.breaker import Breaker
from hocket.resilience.circuit import Circuit
from hocket.resilience.pauses import LATE_SECONDS, LOOK_SECONDS, Pauses
from hocket.resilience.time_limit import TimeLimit

#: Seconds for which the loop is stopped here: noticed as a pause.
PAUSE = LOOK_SECONDS + LATE_SECONDS + 0.5


async def test_a_pause_is_told_once_and_a_running_loop_is_none() -> None:
    """RULES 11.6: listeners hear how long it was, at most a second too much."""
    pauses, told = Pauses(), list[float]()
    pauses.listen(told.append)
    pauses.start()
    await asyncio.sleep(0.1)
    assert not pauses.look()
    time.sleep(PAUSE)  # noqa: ASYNC251 -- as SIGSTOP does
    await asyncio.sleep(0.1)
    pauses.stop()
    [seconds] = told
    assert PAUSE <= seconds <= PAUSE + LOOK_SECONDS + 1


async def test_a_run_gets_the_time_back_that_its_process_did_not_have() -> None:
    """RULES 11.6: also where its time-out is due in the very moment at which the process goes on."""
    pauses = Pauses()
    limit = TimeLimit(PAUSE / 2, pauses)
    pauses.start()
    with limit.run():
        await asyncio.sleep(0.1)
        time.sleep(PAUSE)  # noqa: ASYNC251 -- as SIGSTOP does
        await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError), TimeLimit(0.05, pauses).run():
        await asyncio.Event().wait()
    pauses.stop()


def test_a_call_over_a_pause_is_no_verdict() -> None:
    """RULES 11.6: neither a failure nor a success of it counts; a probe leaves its place to another at once."""
    circuit = Circuit(Breaker("b", failures=(OSError,), after=1, open_for=timedelta(seconds=9)))
    before = circuit.admit(0.0, b"a")
    assert before is not None
    circuit.paused(1.0, 1.0)
    assert circuit.failed(before, 1.0)
    assert str(circuit.state) == "closed"
    fresh = circuit.admit(1.0, b"b")
    assert fresh is not None
    circuit.failed(fresh, 1.0)
    assert str(circuit.state) == "open"
    probe = circuit.admit(11.0, b"c")
    assert probe is not None
    assert probe.probe
    circuit.paused(12.0, 1.0)
    assert str(circuit.state) == "open"
    circuit.succeeded(probe, 12.0, 1.0)
    assert str(circuit.state) == "open"
    assert circuit.wait(12.0) == 0

"""Stacks begin at the team's own code, wherever they are shown."""

import json
import sysconfig
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from hocket import Tx
from hocket.broker.topology import DEAD
from hocket.config import Config
from hocket.resilience import isolation
from hocket.resilience.isolation import TeamRun
from hocket.resilience.own_frames import from_own, innermost_own
from hocket.telemetry.log_lines import LogsListener
from hocket.testing import play
from tests.hocket.sample_services import Rung, World, bells


async def broken(rung: Rung, tx: Tx[World]) -> None:
    """A handler that fails, with a cause, in a call of Python's own library."""
    try:
        json.loads("{")
    except ValueError as error:
        raise RuntimeError("no bell") from error


def frames(trace: str) -> list[str]:
    """The file of each frame of the last stack of a text."""
    last = trace.rpartition("Traceback (most recent call last):\n")[2]
    return [line.split('"')[1] for line in last.splitlines() if line.startswith('  File "')]


@pytest.fixture
async def error_of() -> Callable[..., Any]:
    """Runs a function as the kit runs a handler, and gives the error."""

    async def error(work: Callable[..., Any]) -> BaseException:
        with pytest.raises((ValueError, TypeError)) as caught:
            await TeamRun("bells.ring", lambda task, name: None).result_of(work)
        kit = caught.value.__traceback__
        while kit is not None and kit.tb_frame.f_code.co_filename != isolation.__file__:
            kit = kit.tb_next  # what called the kit is this file
        return caught.value.with_traceback(kit)

    return error


async def test_a_failed_attempt_shows_the_teams_own_frames_first() -> None:
    """In the letter, in the log and in `play`; the error that caused it stays."""
    async with play(bells.using(World(behave=broken)), listeners=[LogsListener(traces=True)]) as stage:
        await stage.hear(Rung(name="a"))
        await stage.advance(timedelta(hours=1))
        traces = [each.trace for each in stage.failed]
        [letter] = stage.broker.messages(DEAD)
    traces += [each["trace"] for each in json.loads(str(letter.headers["hocket-death-history"]))]
    for trace in traces:
        files = frames(trace)
        assert "hocket/delivery" not in trace
        assert "tests/hocket" in files[0], trace
        assert files[-1] == __file__
        assert "JSONDecodeError" in trace
    assert len(traces) > 2


async def test_at_debug_the_whole_stack_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HOCKET_LOG_LEVEL=DEBUG` is for who looks into the kit."""
    construct = Config.model_construct
    monkeypatch.setattr(Config, "model_construct", lambda **given: construct(**given, log_level="DEBUG"))
    async with play(bells.using(World(behave=broken))) as stage:
        await stage.hear(Rung(name="a"))
        await stage.quiet()
        assert "hocket/delivery/handle.py" in stage.failed[0].trace


async def test_a_team_that_is_an_installed_package(error_of: Callable[..., Any]) -> None:
    """The frame that the kit called as a handler is the team's, although packages are foreign otherwise."""
    file = f"{sysconfig.get_path('purelib')}/shop/sold.py"
    space: dict[str, Any] = {}
    exec(compile("async def sell():\n    raise ValueError('sold out')\n", file, "exec"), space)  # noqa: S102
    first = from_own(await error_of(space["sell"]))
    assert first is not None
    assert first.tb_frame.f_code.co_filename == file


async def test_an_error_without_an_own_frame_is_shown_whole(error_of: Callable[..., Any]) -> None:
    """The place is its innermost line."""
    error = await error_of(partial(json.loads, "{"))
    assert from_own(error) is error.__traceback__
    assert innermost_own(error).endswith(" in raw_decode")
    assert from_own(ValueError()) is None
    assert innermost_own(ValueError()) == ""

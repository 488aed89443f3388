"""The runner's commands: what an operator was not answered is not done."""

from typing import Any

import pytest

from tests.chaos.plan import Plan
from tests.chaos.play import runner as running
from tests.chaos.play.runner import Runner
from tests.chaos.play.site import ROOT, Site
from tests.chaos.shop import OBSERVERS, OUTSIDE


def runner() -> Runner:
    """A runner of whose shop nothing runs."""
    nothing: Any = None
    site = Site(ROOT, name="test-runner", ports=dict.fromkeys((OUTSIDE, *OBSERVERS), 1))
    return Runner(Plan(1, 1.0, 1, ()), site, nothing, nothing, nothing, nothing, "memory://")


async def test_a_command_without_an_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, told of, and the breaker counts as held until peace."""
    monkeypatch.setattr(running, "COMMAND_SECONDS", 0.01)
    mine = runner()
    assert not await mine.operate("payments", "close", "card-api")
    assert mine.refused == ["payments card-api close: no answer within 0 s"]

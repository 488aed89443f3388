"""Which handlers may hear history is decided when their module is imported (RULES 7.5 h)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hocket import Death, Service, Tx
from hocket.broker.topology import LOG, MARKER, Binding
from hocket.errors import DeclarationError
from tests.hocket.sample_services import Cracked, Echoed, Rung, Shut


async def quiet(rung: Rung, tx: Tx) -> None: ...


async def speaks(rung: Rung, tx: Tx) -> Echoed | None: ...


def _service() -> Service:
    return Service("annals", owner="team-annals")


@pytest.mark.parametrize(
    ("options", "fn", "why"),
    [
        ({"since": "last"}, quiet, "is no moment"),
        ({"since": datetime(2026, 1, 1)}, quiet, "has no time zone"),  # noqa: DTZ001 -- what is refused
        ({"since": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, quiet, "is no moment in UTC"),
        ({"since": "first"}, speaks, "would say Echoed of what is long past"),
        ({"side_effects": True}, quiet, "there is no since="),
        ({"since": "first", "side_effects": 1}, quiet, "is not of type bool"),
    ],
)
def test_what_history_must_not_do_is_refused(options: dict[str, Any], fn: Callable[..., Any], why: str) -> None:
    """RULES 7.5 h: the sentence names the handler, what is wrong and the way out."""
    with pytest.raises(DeclarationError, match=why) as refused:
        _service().handler(**options)(fn)
    assert str(refused.value).startswith("annals.")


def test_history_may_speak_where_the_team_says_so() -> None:
    """RULES 7.5 h: `side_effects=True` is the team's word."""
    made = _service()
    made.handler(since=datetime(2026, 1, 1, tzinfo=UTC), side_effects=True)(speaks)
    made.complete()


def test_a_step_hears_no_history() -> None:
    """RULES 7.5 h: not even with `side_effects=True`."""
    made = _service()
    made.handler(since="first", side_effects=True)(speaks)

    async def hush(rung: Rung, did: Echoed | None, why: Shut, tx: Tx) -> None: ...

    with pytest.raises(DeclarationError, match="steps are never run for history"):
        made.undo(speaks, Echoed)(hush)


def test_on_dead_does_not_speak_of_history() -> None:
    """RULES 7.5 h: its event would be about what is long past."""
    made = _service()
    made.handler(since="first")(quiet)

    def cracked(rung: Rung, death: Death) -> Cracked:
        return Cracked(name=rung.name, why=death.cause)

    with pytest.raises(DeclarationError, match="on_dead would say an event"):
        made.on_dead(quiet)(cracked)


def test_a_time_out_may_be_armed_by_history() -> None:
    """RULES 7.5 h: what it says is said after the cut-over."""
    made = _service()
    made.overdue(timedelta(hours=1), unless=Shut, by="name", since="first")(speaks)
    made.complete()


def test_what_it_needs_on_the_broker_is_declared() -> None:
    """RULES 7.5 b, c: a way for the marker into the log, and a queue for what is tried again."""
    made = _service()
    made.handler(since="first", name="write")(quiet)
    topology = made.declarations.topology()
    assert [each.name for each in topology.queues] == ["annals.write", "annals.write.history"]
    assert topology.queues[1].arguments["x-dead-letter-routing-key"] == "annals.write"
    assert {Binding("annals", LOG, MARKER), Binding("annals", "annals.write.history", "annals.write.history")} <= set(
        topology.bindings
    )

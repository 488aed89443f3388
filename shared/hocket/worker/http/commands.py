"""What `hocket` asks a running service to do with its own data, by the word of the command."""

from functools import partial
from typing import Protocol

from hocket.outbox.timers import TimerCaller
from hocket.resilience.breakers.registry import Breakers
from hocket.runtime import Runtime
from hocket.streams.backfill.backfills import Backfills
from hocket.worker.breaker_sync import StoreRows, ask_running
from hocket.worker.http.backfill_command import BackfillCommand
from hocket.worker.http.operator import Command
from hocket.worker.http.timers_command import TimersCommand
from hocket.worker.projections.rebuild import RebuildCommand


class Parts(Protocol):
    """The parts of a running service that its commands work on."""

    runtime: Runtime
    breakers: Breakers
    timers: TimerCaller
    backfills: Backfills

    def wake(self) -> None:
        """Let the intakes look again."""
        ...


def commands_of(parts: Parts, rows: StoreRows) -> dict[str, Command]:
    """The commands of one service; `rows` are those of its breakers."""
    store = parts.runtime.store
    return {
        "breaker": partial(ask_running, parts.breakers, rows, parts.wake),
        "timers": TimersCommand(store, parts.timers.look_at_all),
        "rebuild": RebuildCommand(store),
        "backfill": BackfillCommand(store, parts.backfills.known_of),
    }

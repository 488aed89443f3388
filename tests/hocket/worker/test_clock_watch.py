"""Steps of clocks are noticed and said; the service's clock follows; what waits stays as long as it was to wait."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from hocket import clock as clocks
from hocket.clock import KitClock
from hocket.store.records import Ending, StoreTime
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Listener, Signals
from hocket.testing.store_contract.fixtures import near, outbox_row
from hocket.worker.clock_watch import STEADY_SECONDS, ClockWatch
from tests.hocket.sample_runtime import runtime_of

DAY = 86_400.0


class Machine:
    """The clocks of a machine, as a test moves them."""

    def __init__(self) -> None:
        self.wall, self.running = 1_700_000_000.0, 5_000.0

    def pass_by(self, seconds: float) -> None:
        """Time goes on."""
        self.wall += seconds
        self.running += seconds

    def time(self) -> float:
        """What `time.time` says."""
        return self.wall

    def monotonic(self) -> float:
        """What `time.monotonic` says."""
        return self.running


class Heard(Listener):
    """What was said, with its seconds or rows."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Keep it."""
        self.said += [(what, float(value)) for value in about.values()]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine under the kit's clock."""
    made = Machine()
    monkeypatch.setattr(clocks, "time", made)
    monkeypatch.setattr(clocks, "_CARRIER", None)
    return made


class Watched:
    """A store on a kit's clock of its own, as one process has it, and a watch on both."""

    def __init__(self, file: Path) -> None:
        self.clock, self.heard, self.looks = KitClock(), Heard(), list[int]()
        self.store = SqliteStore(str(file), clock=self.clock, boot="b", inline=True)
        runtime = replace(runtime_of("bells", self.store, self.clock), signals=Signals([self.heard]))
        self.watch = ClockWatch(runtime, {}, lambda: self.looks.append(1))

    async def __aenter__(self) -> Self:
        await self.store.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.watch.runtime.pauses.stop()
        await self.store.close()


@pytest.fixture
async def watched(machine: Machine, tmp_path: Path) -> AsyncIterator[Watched]:
    """An open store."""
    async with Watched(tmp_path / "s.db") as made:
        yield made


@pytest.mark.parametrize("step", [600.0, -600.0, 20 * DAY, -0.05])
async def test_a_step_of_the_machine_is_said_and_moves_nothing(machine: Machine, watched: Watched, step: float) -> None:
    """RULES 11.4, 11.1: the service's own clock goes on; what waits is due when it was."""
    watch, store, heard = watched.watch, watched.store, watched.heard
    await watch.begin()
    await store.commit([Ending(outbox=(outbox_row("later", wait=90),))])
    before = watch.runtime.clock.now().timestamp()
    machine.pass_by(1)
    machine.wall += step
    await watch.look()
    assert heard.said == [("the machine's clock was stepped", near(step))]
    assert watch.runtime.clock.now().timestamp() == near(before + 1)
    assert await store.next_due() == near(89)
    machine.pass_by(1)
    await watch.look()
    assert len(heard.said) == 1


async def test_sqlite_follows_the_machine_once_it_is_steady_and_what_waits_moves(
    machine: Machine, watched: Watched
) -> None:
    """RULES 11.7: after a minute, and no row is due earlier or later for it."""
    watch, store, heard = watched.watch, watched.store, watched.heard
    await watch.begin()
    await store.commit([Ending(outbox=tuple(outbox_row(f"later-{n}", wait=3600 + n) for n in range(9)))])
    machine.wall += 20 * DAY
    for _ in range(int(STEADY_SECONDS) + 2):
        machine.pass_by(1)
        await watch.look()
    assert [what for what, _ in heard.said] == [
        "the machine's clock was stepped",
        "the service's clock follows the machine's",
    ]
    assert watch.runtime.clock.now().timestamp() == near(machine.wall)
    assert await store.next_due() == near(3600 - STEADY_SECONDS)


async def test_a_service_follows_the_clock_of_its_database(
    machine: Machine, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 11.3: a server's clock goes before the machine's, which is then ahead or behind for good."""
    watch, store, heard = watched.watch, watched.store, watched.heard

    async def ahead() -> StoreTime:
        return StoreTime(machine.wall + 600, 0.0)

    monkeypatch.setattr(store.clock, "time", ahead)
    monkeypatch.setattr(store.clock, "shared", True)
    await watch.begin()
    assert heard.said == [("the service's clock follows the database's", near(600))]
    assert watch.runtime.clock.now().timestamp() == near(machine.wall + 600)
    for _ in range(int(STEADY_SECONDS) + 2):
        machine.pass_by(1)
        await watch.look()
    await watch.ask_store()
    assert len(heard.said) == 1


async def test_what_the_last_process_left_is_put_right_at_the_start(machine: Machine, tmp_path: Path) -> None:
    """RULES 11.2: said once, with how many rows, and the relay looks again."""
    machine.wall += 20 * DAY
    async with Watched(tmp_path / "s.db") as wrong:
        await wrong.store.commit([Ending(outbox=(outbox_row("later", wait=90),))])
    machine.wall -= 20 * DAY
    async with Watched(tmp_path / "s.db") as right:
        await right.watch.begin()
        assert right.heard.said == [("due times that a wrong clock had set were put right", 1)]
        assert len(right.looks) == 1
        assert await right.store.next_due() == near(90)

"""Admits what is about time-outs: an arming or an answer goes to its commit, an alarm is decided here (RULES 5.7 d)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hocket.clock import rfc3339
from hocket.delivery.arrival import Arrival
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.overdue.work import Alarm, TimerWork
from hocket.errors import StoreError
from hocket.outcome import Bury, Done, Obsolete
from hocket.runtime import Runtime
from hocket.saga.overdue import TimerRow, fire
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite

#: How often an alarm is decided again because its row has changed meanwhile, before the whole batch is.
MOST_ROUNDS = 10


@dataclass(slots=True)
class TimerAdmission:
    """Admits arrivals about time-outs; `judge` sets the outcome that follows from an inbox row."""

    runtime: Runtime
    judge: Callable[[Arrival], None]

    async def admit(self, arrivals: Sequence[Arrival]) -> None:
        """Decide the alarms, which go on to their handler or are void, and read the rows of all others.

        `StoreError` admits none of those that have no outcome yet.
        """
        alarms = [(each, each.alarm) for each in arrivals if each.alarm is not None and each.row is None]
        for _ in range(MOST_ROUNDS):
            if not alarms:
                break
            alarms = await self._decide(alarms)
        if alarms:
            raise StoreError("the rows of time-outs that are due change all the time")
        timers = [(each, each.timer) for each in arrivals if each.timer is not None]
        if not timers:
            return
        rows = await self.runtime.store.timers.rows(list({work.run for _, work in timers}))
        for each, work in timers:
            _read(work, rows.get(work.run))
            each.outcome = Done()

    async def _decide(self, alarms: Sequence[tuple[Arrival, Alarm]]) -> list[tuple[Arrival, Alarm]]:
        """Fire what is called and not answered; those to decide again, for another process came between."""
        rows = await self.runtime.store.timers.rows([alarm.run for _, alarm in alarms])
        firing: list[tuple[Arrival, Alarm, TimerRow]] = []
        for each, alarm in alarms:
            fired = fire(rows.get(alarm.run), alarm.n)
            if fired is not None:
                firing.append((each, alarm, fired))
            else:
                _void(each, alarm, rows)
        if not firing:
            return []
        endings = [Ending(_first(each), timers=(fired,)) for each, _, fired in firing]
        written = await self._write(endings, [each for each, _, _ in firing])
        again: list[tuple[Arrival, Alarm]] = []
        for (each, alarm, fired), ending, won in zip(firing, endings, written, strict=True):
            if won and ending.inbox is not None:
                each.row = ending.inbox.row
                alarm.fact["due"] = rfc3339(datetime.fromtimestamp(fired.due, UTC))
            elif each.outcome is None:
                again.append((each, alarm))
        return await self._look(again)

    async def _write(self, endings: Sequence[Ending], arrivals: Sequence[Arrival]) -> list[bool]:
        """Which have won; one that cannot be written is buried, and takes no neighbour along."""
        try:
            return [each.won for each in await self.runtime.store.commit(endings)]
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 -- a value that the database does not take
            if len(endings) > 1:
                alone = zip(endings, arrivals, strict=True)
                return [won for ending, each in alone for won in await self._write([ending], [each])]
            arrivals[0].outcome = Bury("unwritable", text_of(error, arrivals[0].mask()), row=False)
            return [False]

    async def _look(self, again: list[tuple[Arrival, Alarm]]) -> list[tuple[Arrival, Alarm]]:
        """Those that have no inbox row yet; of the others it says what becomes of them (RULES 5.7 e)."""
        if not again:
            return []
        known = await self.runtime.store.inbox([each.key for each, _ in again])
        for each, _ in again:
            each.row = known.get(each.key)
            self.judge(each)
        return [(each, alarm) for each, alarm in again if each.row is None]


def _void(arrival: Arrival, alarm: Alarm, rows: Mapping[bytes, TimerRow]) -> None:
    row = rows.get(alarm.run)
    alarm.fact |= {"state": "void", "found": row.state.value if row else ""}
    arrival.outcome = Obsolete()


def _first(arrival: Arrival) -> InboxWrite:
    """The inbox row of an alarm that was admitted and has not run yet: it says that the time-out has happened."""
    envelope = arrival.known
    row = InboxRow(
        arrival.key, arrival.subscription.queue, envelope.id, InboxState.RETRY, arrival.attempt - 1, arrival.base,
        envelope.version, arrival.hash, envelope.revision, envelope.correlation_id, updated=envelope.time.timestamp(),
    )  # fmt: skip
    return InboxWrite(row, arrival.attempt - 1)


def _read(work: TimerWork, row: TimerRow | None) -> None:
    known = work.slot.row
    if row is not None and (known is None or row.version > known.version):
        work.slot.row = row

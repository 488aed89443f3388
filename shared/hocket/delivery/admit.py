"""Station admit: looks up the inbox rows of a batch at once; commits `begun` for its steps."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from pydantic import ValidationError

from hocket import saga
from hocket.clock import rfc3339
from hocket.declarations.subscription import Subscription
from hocket.delivery import decide
from hocket.delivery.admission.kept import input_of, result_of
from hocket.delivery.arrival import Arrival, Role, undo_of
from hocket.delivery.decode import sentence
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.overdue.admission import TimerAdmission
from hocket.delivery.staleness.admission import SubjectAdmission
from hocket.envelope.cloudevent import CONTENT_TYPE, Json, Received, canonical, read
from hocket.envelope.keys import digest, outside_key
from hocket.errors import RowLocked, StoreError, Undecodable
from hocket.event import Heard
from hocket.masking.mask import mask_of
from hocket.outcome import Again, Bury, Obsolete, Refused, Seen, Word
from hocket.runtime import Runtime
from hocket.saga.ledger import Kept, LedgerRow, LedgerState
from hocket.store.group_commit import ALONE, STORE_BACKOFF, takes_a_write
from hocket.store.purge import MARGIN
from hocket.store.records import Ending, InboxRow, InboxState

PROMISE = (
    "the inbox rows of a batch are looked up at once; what was handled goes no further; a step's `begun` is "
    "committed here"
)

#: How long a copy waits while the run that began is in progress (RULES 5.2).
BEGUN_WAIT = timedelta(seconds=1)
#: What becomes of a copy: the run that began is in progress, or another transaction holds it.
_BEGUN = Again(BEGUN_WAIT, deferred=True, cause="begun", error="its run is in progress")


#: Why a second input of one scope is buried; True: the step is undone from every flow (RULES 5.1).
_CONFLICT = {
    False: "{step} has begun for this scope in this flow with another key: add a field to by= where one flow may do it "
    "twice",
    True: "{step} has begun for {scope} with another key, and across=True means that it happens once in all flows: add "
    "a field to by= where it may happen again",
}


@dataclass(slots=True)
class Admission:
    """Admits the arrivals of one service."""

    runtime: Runtime
    subscriptions: Mapping[str, Subscription]
    timers: TimerAdmission = field(init=False)
    subjects: SubjectAdmission = field(init=False)

    def __post_init__(self) -> None:
        self.timers = TimerAdmission(self.runtime, judge)
        self.subjects = SubjectAdmission(self.runtime, judge)

    async def admit(self, arrivals: Sequence[Arrival]) -> None:
        """Set each arrival's inbox row and, where it goes no further, its outcome. `StoreError` admits none."""
        asked = [each for each in arrivals if each.outcome is None]
        if not asked:
            return
        if asked[0].role is not Role.EVENT:  # all are of one subscription
            if asked := await self.subjects.before_steps(asked):
                await self._begin_all(asked)
            return
        rows = await self.runtime.store.inbox([each.key for each in asked])
        for each in asked:
            self._judge(each, rows.get(each.key), self._too_old(each))
        await self.timers.admit([each for each in asked if each.outcome is None])
        await self.subjects.admit([each for each in asked if each.outcome is None])

    async def _begin_all(self, steps: Sequence[Arrival]) -> None:
        """Begin together; where the store takes other writes they begin one by one, so that no one stops the others."""
        for tries in count(1):
            try:
                await self._begin(steps)
            except BaseException as error:
                for each in steps:  # nothing was written, or it is unknown: it is decided again
                    each.outcome, each.token, each.ledger, each.row = None, "", None, None
                if not isinstance(error, Exception):
                    raise
                if len(steps) == 1 and isinstance(error, RowLocked):  # nobody waits for it (RULES 3.3)
                    steps[0].outcome = _BEGUN
                    return
                if isinstance(error, StoreError) and not await takes_a_write(self.runtime.store):
                    raise
                if len(steps) > 1:
                    break
                if not isinstance(error, StoreError) or tries >= ALONE:
                    self._failed(steps[0], error)
                    return
                await asyncio.sleep(STORE_BACKOFF.bound(tries))
            else:
                return
        for each in steps:
            await self._begin_all([each])

    def _failed(self, arrival: Arrival, error: Exception) -> None:
        """Its `begun` cannot be written: a failed attempt of this delivery, in which nothing began (RULES 3.2)."""
        mask = arrival.mask()
        self.runtime.trouble("a step cannot begin", subscription=arrival.subscription.queue, error=text_of(error, mask))
        outcome = decide.failed(
            error,
            retry=arrival.subscription.retry,
            used=arrival.used,
            chance=self.runtime.chance,
            free=None,
            mask=mask,
            whole=self.runtime.whole_stacks,
        )
        arrival.outcome = replace(outcome, began=False) if isinstance(outcome, Bury) else outcome

    def _judge(self, arrival: Arrival, row: InboxRow | None, too_old: Bury | None) -> None:
        arrival.row = row
        judge(arrival)
        if arrival.outcome is None and (row is None or too_old is arrival.held):
            arrival.outcome = too_old

    def _too_old(self, arrival: Arrival) -> Bury | None:
        """RULES 2.7: what the inbox may have forgotten may have been handled; RULES 16.4. A replay is admitted."""
        if arrival.held is not None:
            return arrival.held
        if (
            arrival.replay
            or arrival.history
            or arrival.subscription.idempotent
            or arrival.role is Role.UNDO
            or arrival.alarm is not None
        ):
            return None  # the row of an alarm decides, whatever its age
        oldest = self.runtime.store.clock.horizon + MARGIN
        if arrival.known.time.timestamp() < oldest:
            said, since = rfc3339(arrival.known.time), rfc3339(datetime.fromtimestamp(oldest, UTC))
            return Bury(
                "too-old",
                f"it was said at {said}, and the inbox of {self.runtime.service} may have forgotten what was "
                f"said before {since}, so whether it was handled is not known: replay it if it was not. With a higher "
                f"HOCKET_INBOX_DAYS, now {self.runtime.config.inbox_days:g}, the inbox forgets less from now on",
                row=False,
            )
        return None

    async def _begin(self, arrivals: Sequence[Arrival]) -> None:
        """RULES 5.2: what is new begins in the statement that looks it up; the rest is decided by what was found."""
        old = [self._too_old(each) for each in arrivals]
        fresh: dict[str, LedgerRow] = {}
        for each, too_old in zip(arrivals, old, strict=True):
            if each.role is Role.STEP and too_old is None and each.run not in fresh and not self._forgotten(each):
                verdict = self._verdict(each, None)
                if isinstance(verdict, saga.Begun):
                    fresh[each.run] = verdict.row
        others = [run for run in dict.fromkeys(each.run for each in arrivals) if run not in fresh]
        found = await self.runtime.store.admit([each.key for each in arrivals], list(fresh.values()), others)
        known = dict(found.ledger) | {run: fresh[run]._replace(version=1) for run in found.begun}
        moved: list[tuple[Arrival, LedgerRow]] = []
        for each, too_old in zip(arrivals, old, strict=True):
            self._judge(each, found.inbox.get(each.key), too_old)
            row = known.get(each.run)
            if each.outcome is not None or each.role is not Role.STEP:
                each.ledger = row
            elif each.run in found.begun and row is not None and row.inbox_key == each.key:
                each.token, each.ledger = row.owner, row
            elif (after := self._begun(each, row)) is not None:
                moved.append((each, after))
                known[each.run] = after
        if moved:
            await self._move(moved)
        if undos := [each for each in arrivals if each.outcome is None and each.role is Role.UNDO]:
            await self._prepare_all(undos)

    async def _move(self, moved: Sequence[tuple[Arrival, LedgerRow]]) -> None:
        """Runs that begin again; whose row is not as it was read is decided again under its lock (RULES 3.1)."""
        written = await self.runtime.store.commit([Ending(ledger=(row,)) for _, row in moved])
        for (each, row), one in zip(moved, written, strict=True):
            if one.won:
                each.token, each.ledger = row.owner, row._replace(version=row.version + 1)
            elif one.blocked or not await self._begun_alone(each):
                each.outcome, each.token = each.outcome or _BEGUN, ""

    async def _begun_alone(self, arrival: Arrival) -> bool:
        """Decide by the row as it is; False where another has just written one."""
        async with self.runtime.store.kit_transaction() as tx:
            row = self._begun(arrival, (await tx.ledger([arrival.run])).get(arrival.run))
            if row is None:
                return True
            [written] = await tx.write([Ending(ledger=(row,))])
        if written.won:
            arrival.token, arrival.ledger = row.owner, row._replace(version=row.version + 1)
        return written.won

    def _forgotten(self, arrival: Arrival) -> bool:
        """RULES 2.7: the replay of a step that is older than the ledger remembers: its failure may be forgotten too."""
        return bool(arrival.replay) and arrival.known.time.timestamp() < self._ledger_horizon()

    def _verdict(
        self, arrival: Arrival, row: LedgerRow | None
    ) -> saga.Begun | saga.Wait | saga.Refused | saga.Conflict | saga.Obsolete:
        boot = self.runtime.instance.boot
        return saga.begin(
            row,
            run=arrival.run,
            correlation_id=arrival.known.correlation_id,
            step=arrival.step,
            scope=arrival.scope,
            token=digest("run", boot, arrival.key.hex()).hex(),  # admitted again, it is still the same run
            boot=boot,
            inbox_key=arrival.key,
            replay=bool(arrival.replay),
            now=self.runtime.clock.now().timestamp(),
        )

    def _begun(self, arrival: Arrival, row: LedgerRow | None) -> LedgerRow | None:
        """RULES 5.2: the row to write, or None and an outcome."""
        arrival.ledger = row
        if row is None and self._forgotten(arrival):
            arrival.outcome = Obsolete()
            return None
        match self._verdict(arrival, row):
            case saga.Begun(row=begun):
                return begun
            case saga.Refused():
                arrival.outcome = Refused()
            case saga.Wait():
                arrival.outcome = _BEGUN
            case saga.Conflict():
                undo = undo_of(arrival.subscription)
                arrival.outcome = Bury(
                    "conflict",
                    _CONFLICT[undo is not None and undo.across].format(step=arrival.step, scope=arrival.scope),
                    row=False,
                )
            case saga.Obsolete():
                arrival.outcome = Obsolete() if arrival.replay else Seen(row.state.value if row else "")
        return None

    def _ledger_horizon(self) -> float:
        keep = self.runtime.config.retention()
        return self.runtime.store.clock.horizon + MARGIN - (keep.ledger - keep.inbox).total_seconds()

    async def _prepare_all(self, undos: Sequence[Arrival]) -> None:
        kept = await self.runtime.store.kept([each.run for each in undos])
        for each in undos:
            self._prepare(each, each.ledger, kept.get(each.run))

    def _prepare(self, arrival: Arrival, row: LedgerRow | None, kept: Kept | None) -> None:
        """Set what an undo receives: the step's input, its result, and the reason (RULES 5.4)."""
        if row is None:
            arrival.outcome = Bury("ledger", f"the ledger has no step run {arrival.run}")
            return
        arrival.step_key = outside_key(row.inbox_key)
        if row.state is not LedgerState.UNDOING:
            arrival.outcome = Obsolete() if arrival.replay else Seen(row.state.value)
            return
        if kept is None:
            arrival.outcome = Bury("ledger", f"the ledger keeps no input of step run {arrival.run}")
            return
        try:
            self._read_undo(arrival, kept)
        except Exception as broken:  # noqa: BLE001 -- data of an older version may make a team's model raise anything
            mask = mask_of(came=self._kept(arrival, kept))
            why = sentence(broken, mask) if isinstance(broken, ValidationError) else text_of(broken, mask)
            arrival.outcome = Bury("invalid", f"what the ledger keeps of run {row.run} cannot be read: {why}")

    def _read_undo(self, arrival: Arrival, kept: Kept) -> None:
        undo = arrival.subscription.undo
        assert undo is not None
        arrival.event = input_of(self.subscriptions[undo.step], self._open(kept.input))
        done = [result_of(arrival.subscription, self._open(each)) for each in kept.results]
        arrival.did = done if undo.many else (done[-1] if done else None)
        why = self._open(canonical(arrival.known.data["why"], heard=True))
        type_, version = why.envelope.type, why.envelope.version
        path = arrival.subscription.upcast_path(type_, version)
        if path is not None:
            arrival.why = path.read(why)
            return
        arrival.outcome = Bury("version", f"{arrival.subscription.queue} reads no {type_} version {version}")

    def _kept(self, arrival: Arrival, kept: Kept) -> Iterator[tuple[Mapping[str, Json], type[Heard]]]:
        """The data that an undo is made of, each with the model that reads it: what an error may quote."""
        undo, subscription = arrival.subscription.undo, arrival.subscription
        assert undo is not None
        step = self.subscriptions[undo.step]
        why = canonical(arrival.known.data.get("why"), heard=True)
        for body, path_of in (
            (kept.input, step.upcast_path),
            *((each, lambda *name: subscription.results.get(name)) for each in kept.results),
            (why, subscription.upcast_path),
        ):
            with contextlib.suppress(Undecodable):
                envelope = self._open(body).envelope
                if (path := path_of(envelope.type, envelope.version)) is not None:
                    yield envelope.data, path.model

    def _open(self, body: bytes) -> Received:
        return read(body, CONTENT_TYPE, {}, self.runtime.clock.now())


def judge(arrival: Arrival) -> None:
    """Set the outcome that follows from the inbox row; none where the delivery goes on (RULES 2.5, 3.5, 8.4)."""
    row = arrival.row
    if row is None:
        return
    if (conflict := _conflict(arrival, row)) is not None:
        arrival.outcome = conflict
        return
    match row.state:
        case InboxState.HANDLED | InboxState.REFUSED:
            arrival.outcome = Seen(_ended_as(row), row.said)
        case InboxState.DEAD if arrival.replay and arrival.attempt > row.attempt:
            arrival.outcome = Obsolete() if row.spoke else None
        case InboxState.DEAD:
            arrival.outcome = Seen(row.state.value, row.said)
        case InboxState.RETRY if arrival.attempt <= row.attempt:
            arrival.outcome = Seen(row.state.value, row.said)
        case InboxState.RETRY:
            return


def _ended_as(row: InboxRow) -> str:
    """How a final row ended: what was stale is stored as refused, with its word in the history."""
    stale = row.state is InboxState.REFUSED and bool(row.history) and row.history[-1].word == Word.STALE
    return Word.STALE.value if stale else row.state.value


def _conflict(arrival: Arrival, row: InboxRow) -> Bury | Seen | None:
    """The same key and dataschema with other data (RULES 2.5); an edited event carries a higher revision."""
    envelope = arrival.known
    if arrival.hash == row.data_hash or envelope.version != row.version:
        return None
    if envelope.revision < row.revision or 0 < envelope.revision == row.revision:
        return Seen(row.state.value, row.said)
    if envelope.revision > row.revision and row.state is InboxState.DEAD and arrival.replay:
        return None
    return Bury(
        "conflict",
        f"{arrival.subscription.queue} knows the key {envelope.idempotency_key} of {envelope.type} with other data: "
        "the publisher must give each fact its own key",
        row=False,
    )

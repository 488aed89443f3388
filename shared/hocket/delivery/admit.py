"""Station admit: looks up the inbox rows of a batch at once; commits `begun` for its steps."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from hocket import saga
from hocket.clock import rfc3339
from hocket.declarations.subscription import Subscription
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.decode import sentence
from hocket.delivery.ending.error_text import text_of
from hocket.envelope.cloudevent import CONTENT_TYPE, Envelope, Json, decode, encode
from hocket.envelope.keys import digest, outside_key
from hocket.errors import Undecodable
from hocket.event import Heard
from hocket.masking.mask import mask_of
from hocket.outcome import Again, Bury, Obsolete, Refused, Seen
from hocket.runtime import Runtime
from hocket.saga.ledger import LedgerRow, LedgerState
from hocket.store.records import Ending, InboxRow, InboxState

PROMISE = (
    "the inbox rows of a batch are looked up at once; what was handled goes no further; a step's `begun` is "
    "committed here"
)

#: How long a copy waits while the run that began is in progress (RULES 5.2).
BEGUN_WAIT = timedelta(seconds=1)


@dataclass(slots=True)
class Admission:
    """Admits the arrivals of one service."""

    runtime: Runtime
    subscriptions: Mapping[str, Subscription]
    remembers: timedelta = field(init=False)

    def __post_init__(self) -> None:
        self.remembers = self.runtime.config.retention().inbox

    async def admit(self, arrivals: Sequence[Arrival]) -> None:
        """Set each arrival's inbox row and, where it goes no further, its outcome. `StoreError` admits none."""
        asked = [each for each in arrivals if each.outcome is None]
        if not asked:
            return
        rows = await self.runtime.store.inbox([each.key for each in asked])
        for each in asked:
            each.row = rows.get(each.key)
            judge(each)
            self._check_age(each)
        steps = [each for each in asked if each.outcome is None and each.role in (Role.STEP, Role.UNDO)]
        if not steps:
            return
        try:
            await self._begin(steps)
        except BaseException:
            for each in steps:  # nothing was written, or it is unknown: it is decided again
                each.outcome = None
            raise

    def _check_age(self, arrival: Arrival) -> None:
        """RULES 2.7: an event older than the inbox remembers may have been handled; only a replay admits it."""
        if arrival.row is not None or arrival.replay or arrival.subscription.idempotent or arrival.role is Role.UNDO:
            return
        oldest = self.runtime.clock.now() - self.remembers
        if arrival.outcome is None and arrival.known.time < oldest:
            arrival.outcome = Bury(
                "too-old",
                f"it was said before {rfc3339(oldest)}, and the inbox remembers {self.remembers.days} days: replay it "
                "if it was never handled, or raise HOCKET_INBOX_DAYS",
                row=False,
            )

    async def _begin(self, arrivals: Sequence[Arrival]) -> None:
        async with self.runtime.store.transaction() as tx:
            known = await tx.ledger([each.run for each in arrivals])
            for each in arrivals:
                if each.role is Role.UNDO:
                    self._prepare(each, known.get(each.run))
                elif (moved := self._begun(each, known.get(each.run))) is not None:
                    known[each.run] = moved
                    await tx.write([Ending(ledger=(moved,))])

    def _begun(self, arrival: Arrival, row: LedgerRow | None) -> LedgerRow | None:
        """RULES 5.2: the row to write, or None and an outcome."""
        now = self.runtime.clock.now()
        boot = self.runtime.instance.boot
        token = digest("run", boot, arrival.key.hex()).hex()  # admitted again, it is still the same run
        verdict = saga.begin(
            row,
            run=arrival.run,
            correlation_id=arrival.known.correlation_id,
            step=arrival.step,
            scope=arrival.scope,
            token=token,
            boot=boot,
            inbox_key=arrival.key,
            step_key=outside_key(arrival.key),
            input=encode(arrival.known),
            replay=bool(arrival.replay),
            now=now.timestamp(),
        )
        match verdict:
            case saga.Begun(row=begun):
                arrival.token, arrival.ledger = token, begun
                return begun
            case saga.Refused(row=refused):
                arrival.outcome, arrival.ledger = Refused(), refused
                return refused
            case saga.Wait():
                arrival.outcome = Again(now + BEGUN_WAIT, deferred=True, cause="begun", error="its run is in progress")
            case saga.Conflict():
                arrival.outcome = Bury(
                    "conflict",
                    f"{arrival.step} has begun for this scope in this flow with another key: "
                    "add a field to by= where one flow may do it twice",
                    row=False,
                )
            case saga.Obsolete():
                arrival.outcome = Obsolete() if arrival.replay else Seen(row.state.value if row else "")
        return None

    def _prepare(self, arrival: Arrival, row: LedgerRow | None) -> None:
        """Set what an undo receives: the step's input, its result, and the reason (RULES 5.4)."""
        if row is None:
            arrival.outcome = Bury("ledger", f"the ledger has no step run {arrival.run}")
            return
        arrival.ledger, arrival.step_key = row, row.step_key
        if row.state is not LedgerState.UNDOING:
            arrival.outcome = Obsolete() if arrival.replay else Seen(row.state.value)
            return
        try:
            self._read_undo(arrival, row)
        except Exception as broken:  # noqa: BLE001 -- data of an older version may make a team's model raise anything
            mask = mask_of(came=self._kept(arrival, row))
            why = sentence(broken, mask) if isinstance(broken, ValidationError) else text_of(broken, mask)
            arrival.outcome = Bury("invalid", f"what the ledger keeps of run {row.run} cannot be read: {why}")

    def _read_undo(self, arrival: Arrival, row: LedgerRow) -> None:
        undo = arrival.subscription.undo
        assert undo is not None
        arrival.event = _read(self.subscriptions[undo.step], self._open(row.input))
        done = [_result(arrival.subscription, self._open(each)) for each in row.results]
        arrival.did = done if undo.many else (done[-1] if done else None)
        why = self._open(json.dumps(arrival.known.data["why"]).encode())
        path = arrival.subscription.upcast_path(why.type, why.version)
        if path is not None:
            arrival.why = path.read(why.data)
            return
        arrival.outcome = Bury("version", f"{arrival.subscription.queue} reads no {why.type} version {why.version}")

    def _kept(self, arrival: Arrival, row: LedgerRow) -> Iterator[tuple[Mapping[str, Json], type[Heard]]]:
        """The data that an undo is made of, each with the model that reads it: what an error may quote."""
        undo, subscription = arrival.subscription.undo, arrival.subscription
        assert undo is not None
        step = self.subscriptions[undo.step]
        why = json.dumps(arrival.known.data.get("why")).encode()
        for body, path_of in (
            (row.input, step.upcast_path),
            *((each, lambda *name: subscription.results.get(name)) for each in row.results),
            (why, subscription.upcast_path),
        ):
            with contextlib.suppress(Undecodable):
                envelope = self._open(body)
                if (path := path_of(envelope.type, envelope.version)) is not None:
                    yield envelope.data, path.model

    def _open(self, body: bytes) -> Envelope:
        return decode(body, CONTENT_TYPE, {}, self.runtime.clock.now())


def _read(step: Subscription, envelope: Envelope) -> Heard:
    path = step.upcast_path(envelope.type, envelope.version)
    if path is None:
        raise Undecodable("input", f"{step.queue} no longer reads {envelope.type} version {envelope.version}")
    return path.read(envelope.data)


def _result(subscription: Subscription, envelope: Envelope) -> Heard:
    """The result of a step, perhaps in an older version."""
    path = subscription.results.get((envelope.type, envelope.version))
    if path is None:
        raise Undecodable("results", f"{subscription.queue} no longer reads {envelope.type} version {envelope.version}")
    return path.read(envelope.data)


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
            arrival.outcome = Seen(row.state.value, row.said)
        case InboxState.DEAD if arrival.replay and arrival.attempt > row.attempt:
            arrival.outcome = Obsolete() if row.spoke else None
        case InboxState.DEAD:
            arrival.outcome = Seen(row.state.value, row.said)
        case InboxState.RETRY if arrival.attempt <= row.attempt:
            arrival.outcome = Seen(row.state.value, row.said)
        case InboxState.RETRY:
            return


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

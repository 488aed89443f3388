"""What the product does with one delivery, by its own stations: decode, admit, decide, record, commit.

Each answer follows from the rows of one service, the delivery and the process alone, so it is asked once and kept.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from hocket import Service
from hocket.broker.port import Delivery, Handle, Message
from hocket.broker.topology import EVENTS, routing_key
from hocket.declarations.subscription import name_of
from hocket.delivery import decide
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.claim import HandlerClaim
from hocket.delivery.decode import decode
from hocket.delivery.overdue.work import Slot
from hocket.envelope.cloudevent import read
from hocket.errors import Unsayable
from hocket.outcome import Again, Done, GiveBack, Obsolete, Seen
from hocket.saga.overdue import TimerState
from hocket.store.records import OutboxRow, RowKind
from hocket.store.unit_of_work import Superseded, UnitOfWork
from tests.graph.processes import AT, Process, SeededIds, at_once, started
from tests.graph.rows import Rows, Snapshot
from tests.graph.sagas.outside import STOPPED, Scripted
from tests.graph.values import Ended, Interned, Post, Said, Taken, Told, thing_of

#: Columns of the ledger and of the time-outs that the graph looks at.
_STEP, _SCOPE, _STATE, _OWNER, _GENERATION = 2, 3, 4, 5, 9
_TIMER_STATE, _TIMER_N = 4, 5


@dataclass
class Product:
    """The services of one saga and everything that was asked of them."""

    saga: ModuleType
    own: frozenset[str] = frozenset()  # subscriptions whose handlers open a transaction of their own
    services: tuple[Service[Any], ...] = field(init=False)
    snapshots: Interned = field(default_factory=Interned)
    posts: Interned = field(default_factory=Interned)
    hands: Interned = field(default_factory=Interned)
    facts: Interned = field(default_factory=Interned)
    kept: dict[Any, Any] = field(default_factory=dict)
    _processes: dict[tuple[int, str], Process] = field(default_factory=dict)
    _seen: dict[int, Told] = field(default_factory=dict)
    _won: list[bool] = field(default_factory=list)
    _out: list[OutboxRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.services = self.saga.SERVICES
        for each in self.services:
            each.complete()
        self.rows = [Rows() for _ in self.services]
        self.answers: dict[str, set[str]] = {}
        self.failures: dict[str, set[str]] = {}
        self.results: set[str] = set()
        self._declared()
        self.empty = self.snapshots.number(Snapshot())

    # -- what is declared ------------------------------------------------------------------------------------------

    def _declared(self) -> None:
        """What the declarations say of failures and results."""
        for service in self.services:
            for queue, each in service.declarations.subscriptions.items():
                if each.overdue is not None:
                    armed = {name_of(model)[0] for model in each.heard}
                    self.answers[queue] = {name_of(model)[0] for model in each.overdue.unless} - armed
                if each.undo is not None:
                    why = {name_of(model)[0] for model in (*each.undo.why, *each.undo.spoken)}
                    self.failures[each.undo.step] = why
                    self.results.add(name_of(each.undo.did)[0])

    def only_answers(self, post: Post) -> bool:
        """Whether this answers a time-out, and is no watch's."""
        return post.type in self.answers.get(post.queue, ())

    def dead_undos(self, letters: Sequence[int]) -> set[tuple[str, str, int]]:
        """Of these letters those of undos: step, thing, and the number of the undo."""
        found: set[tuple[str, str, int]] = set()
        for each in letters:
            arrival = self._decoded(self.posts.values[each])
            if arrival.role is Role.UNDO:
                found.add((arrival.step, thing_of(arrival.known.subject), arrival.generation))
        return found

    # -- messages --------------------------------------------------------------------------------------------------

    def posted(self, message: Message, kind: RowKind = RowKind.EVENT, *, source: int = -1) -> tuple[int, ...]:
        """The queues that this message comes to, as numbers of posts."""
        if message.exchange == EVENTS:
            bound = [
                (at, queue)
                for at, service in enumerate(self.services)
                for queue, each in service.declarations.subscriptions.items()
                if any(routing_key(*name) == message.routing_key for name in each.bound)
            ]
            return tuple(self._post(at, queue, message) for at, queue in bound)
        assert kind is RowKind.SELF
        return (self._post(source, message.routing_key, message),)

    def _post(self, service: int, queue: str, message: Message) -> int:
        headers = tuple(sorted(message.headers.items()))
        key = (queue, message.body, headers)
        if key in self.kept:
            return cast("int", self.kept[key])
        post = Post(service, queue, message, message.type, "", alarm=False)
        arrival = self._decoded(post)
        thing = thing_of(arrival.known.subject)
        post = post._replace(thing=thing, alarm=arrival.alarm is not None, type=arrival.known.type)
        number = self.kept[key] = self.posts.number(key, post)
        return number

    def fact(self, message: Message) -> int:
        """What a message says, as a number."""
        envelope = read(message.body, message.content_type, {}, AT).envelope
        return self.facts.number(Said(envelope.type, thing_of(envelope.subject), envelope.idempotency_key))

    def again(self, number: int) -> int:
        """The same delivery, for the second time."""
        post: Post = self.posts.values[number]
        if post.redelivered:
            return number
        return self.posts.number(("again", number), post._replace(redelivered=True))

    def _decoded(self, post: Post) -> Arrival:
        subscription = self.services[post.service].declarations.subscriptions[post.queue]
        delivery = Delivery(
            post.queue, Handle(0, 0), post.message.body, post.message.content_type, post.message.headers,
            redelivered=post.redelivered,
        )  # fmt: skip
        arrival = Arrival(delivery, cast("Any", None), subscription, AT)
        decode(arrival)
        assert arrival.outcome is None, arrival.outcome
        return arrival

    # -- processes -------------------------------------------------------------------------------------------------

    def _process(self, service: int, boot: str) -> Process:
        known = self._processes.get((service, boot))
        if known is None:
            known = self._processes[service, boot] = started(
                self.services[service], boot, self.rows[service], self._committed, self._lost
            )
        return known

    def _open(self, service: int, snapshot: int, boot: str, living: Sequence[str]) -> tuple[Process, Rows]:
        rows = self.rows[service]
        rows.load(self.snapshots.values[snapshot])
        rows.boot, rows.living = boot, frozenset(living)
        return self._process(service, boot), rows

    # -- moves -----------------------------------------------------------------------------------------------------

    def take(self, snapshot: int, post: int, boot: str, living: tuple[str, ...]) -> Taken:
        """A process takes a delivery: decode, admit, and the mark of a start that is not the first."""
        key = ("take", snapshot, post, boot, living)
        if key not in self.kept:
            self.kept[key] = self._take(snapshot, post, boot, living)
        return cast("Taken", self.kept[key])

    def _take(self, snapshot: int, number: int, boot: str, living: tuple[str, ...]) -> Taken:
        post: Post = self.posts.values[number]
        process, rows = self._open(post.service, snapshot, boot, living)
        arrival = self._decoded(post)
        cast("SeededIds", process.runtime.ids).begin(arrival.key)
        at_once(process.admission.admit([arrival]))
        if arrival.outcome is None and post.redelivered and arrival.role is not Role.FAILURE:
            marked = process.recorder.started(arrival, alone=False)
            [written] = at_once(rows.commit([marked]))
            if written.won and marked.inbox is not None:
                arrival.row, arrival.marked = marked.inbox.row, True
            else:
                arrival.fenced = True
        waits = isinstance(arrival.outcome, Again)
        slot = arrival.timer.slot.row if arrival.timer else None
        known = (
            number, boot, arrival.row, arrival.ledger, arrival.token, repr(arrival.outcome), slot, arrival.fenced,
            repr(arrival.did), repr(arrival.why), arrival.step_key,
        )  # fmt: skip
        step = arrival.role in {Role.STEP, Role.UNDO} and arrival.outcome is None and not arrival.fenced
        nothing = isinstance(arrival.outcome, Seen | Obsolete)
        after = self.snapshots.number(rows.snapshot())
        return Taken(after, self.hands.number(known, arrival), step, waits, nothing)

    def end(self, snapshot: int, hand: int, boot: str, living: tuple[str, ...], got: str) -> Ended:
        """A process ends an attempt whose outside answered `got`: decide, record, commit."""
        key = ("end", snapshot, hand, boot, living, got)
        if key not in self.kept:
            self.kept[key] = self._end(snapshot, self.hands.values[hand], boot, living, got)
        return cast("Ended", self.kept[key])

    def _end(self, snapshot: int, prepared: Arrival, boot: str, living: tuple[str, ...], got: str) -> Ended:
        service = self._service_of(prepared)
        process, rows = self._open(service, snapshot, boot, living)
        arrival = copy(prepared)
        if arrival.timer is not None:
            arrival.timer = replace(arrival.timer, slot=Slot(arrival.timer.slot.row))
        cast("SeededIds", process.runtime.ids).begin(arrival.key)
        arrival.ended = AT
        if arrival.outcome is None and not arrival.fenced:
            arrival.outcome = GiveBack() if got == STOPPED else self._outcome(process, arrival, got)
        self._won, self._out = [], []
        if not self._by_itself(process, rows, arrival):
            at_once(process.committer.commit_one(arrival))
        out = [each for row in self._out if row.kind in {RowKind.EVENT, RowKind.SELF}
               for each in self.posted(row.message, row.kind, source=service)]  # fmt: skip
        letters = [self._letter(service, row.message) for row in self._out if row.kind is RowKind.LETTER]
        said = [self.fact(row.message) for row in self._out if row.kind is RowKind.EVENT]
        after = self.snapshots.number(rows.snapshot())
        return Ended(after, self._won == [True], tuple(out), tuple(letters), tuple(said))

    def _by_itself(self, process: Process, rows: Rows, arrival: Arrival) -> bool:
        """The handler's own transaction: its claim, then its ending; False: it goes to the group commit."""
        if arrival.subscription.queue not in self.own or not isinstance(arrival.outcome, Done) or arrival.fenced:
            return False
        claim = HandlerClaim(process.recorder, arrival)
        ending = claim.ending()
        try:
            if ending is None:
                raise Superseded
            unit = UnitOfWork(None, claim, begin=cast("Any", rows.kit_transaction))
            self._committed([arrival], at_once(unit.commit(ending)))
        except Superseded:
            arrival.fenced = True
            return False
        return True

    def _lost(self, arrival: Arrival) -> None:
        self._won.append(False)

    def _committed(self, winners: Sequence[Arrival], rows: Sequence[OutboxRow]) -> None:
        self._won.extend([True] * len(winners))
        self._out.extend(rows)

    def _service_of(self, arrival: Arrival) -> int:
        return [each.name for each in self.services].index(arrival.subscription.service)

    @staticmethod
    def _outcome(process: Process, arrival: Arrival, got: str) -> Any:
        if arrival.role is Role.FAILURE:
            return decide.NOTHING
        subscription, tx = arrival.subscription, SimpleNamespace(use=Scripted(got))
        words = (arrival.event, arrival.did, arrival.why, tx) if arrival.role is Role.UNDO else (arrival.event, tx)
        try:
            return decide.returned(at_once(cast("Any", subscription.call(*words))), subscription)
        except Unsayable:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a handler raises is decided
            return decide.failed(
                error, retry=subscription.retry, used=arrival.used, chance=process.runtime.chance, free=None,
                mask=arrival.mask(),
            )  # fmt: skip

    def _letter(self, service: int, message: Message) -> int:
        """A dead letter, as the delivery that a person's replay of it makes."""
        headers: dict[str, str | int] = {
            "hocket-replay": str(message.headers["hocket-death-id"]),
            "hocket-attempt": int(message.headers["hocket-death-attempt"]) + 1,
        }
        again = Message(self.services[service].name, message.routing_key, message.body, message.content_type, headers)
        return self._post(service, message.routing_key, again)

    def due(self, service: int, snapshot: int) -> Ended:
        """Every period of this service is over, and a process calls the alarms."""
        key = ("due", service, snapshot)
        if key not in self.kept:
            _, rows = self._open(service, snapshot, "", ())
            timed = [queue for queue, each in self.services[service].declarations.subscriptions.items() if each.overdue]
            called = at_once(rows.call_due(timed))
            out = [each for row in called for each in self.posted(row.message, row.kind, source=service)]
            self.kept[key] = Ended(self.snapshots.number(rows.snapshot()), True, tuple(out), ())
        return cast("Ended", self.kept[key])

    def seen(self, snapshot: int) -> Told:
        """What the rows say."""
        found = self._seen.get(snapshot)
        if found is None:
            rows: Snapshot = self.snapshots.values[snapshot]
            timers = tuple((row[2], thing_of(row[3]), row[_TIMER_STATE], row[_TIMER_N]) for row in rows.timers)
            found = self._seen[snapshot] = Told(
                tuple((row[_STEP], thing_of(row[_SCOPE]), row[_STATE], row[_GENERATION]) for row in rows.ledger),
                timers,
                any(state == TimerState.ARMED for _, _, state, _ in timers),
                any(row[_OWNER] for row in rows.ledger),
            )
        return found

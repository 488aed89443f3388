# long: the way of one ordered subscription, by its queue, from history and in batches; decisions stand elsewhere
"""Runs one ordered subscription: each delivery waits for its turn in its subject, and parks where a line stands."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from hocket.broker.port import Consumer, Delivery
from hocket.declarations.ordering.option import WINDOW
from hocket.declarations.subscription import Subscription
from hocket.delivery.arrival import Arrival
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.ordering.lane import Lane
from hocket.delivery.ordering.switch import Switch
from hocket.delivery.ordering.turn import DISCARD, HISTORY, MENDABLE, PARKED, Seat, Turn, seat_of
from hocket.delivery.ordering.turns import Subject, Turns, may_fold, place_of, turn_of
from hocket.delivery.runner import Pipeline, SubscriptionRunner
from hocket.errors import StoreError
from hocket.masking.mask import ALWAYS
from hocket.outcome import Again, Bury, GiveBack, Seen
from hocket.resilience.retrying import until_done
from hocket.store.group_commit import STORE_BACKOFF
from hocket.store.ordering.lines import Line
from hocket.store.ordering.tokens import lines_of
from hocket.store.records import OutboxRow

#: Seconds between two looks whether the runs of an earlier channel have ended.
QUIET_SECONDS = 0.05
#: Characters of a subject in a sentence.
SHOWN_CHARS = 200


class OrderedRunner(SubscriptionRunner):
    """Runs one ordered subscription; what is in hand is at most `WINDOW` deliveries of its queue.

    One batch is admitted after the other, as the broker gave them. While its breaker is open what is in hand waits:
    deferred, the first of each subject would make a line.
    """

    admitting: ClassVar[int] = 1
    defers: ClassVar[bool] = False

    def __init__(self, subscription: Subscription, pipeline: Pipeline, share: int) -> None:
        super().__init__(subscription, pipeline, share)
        self.turns = Turns()
        self.lane = Lane(
            pipeline.runtime, subscription.identity, subscription.queue, self.intake.deliver, self._quiet, self._drop
        )
        self.switch = Switch(pipeline.runtime, subscription, self.former)
        self._closing = False
        self._asked: list[str] = []  # subjects whose lines the store is asked for
        self._some_asked = asyncio.Event()
        self._dropped = 0  # how often everything in hand was dropped

    async def start(self) -> None:
        """Empty the queues that it had before, then consume its own."""
        self.begin()
        if await self.switch.needed():
            queue, spawn = self.subscription.queue, self.pipeline.runtime.tasks.spawn
            self._admitters.append(spawn(f"switch {queue}", self.consume(), may_end=True))
        else:
            await self._consume()

    def begin(self) -> None:
        """Start the tasks that admit, ask for lines and handle, whatever delivers."""
        super().begin()
        queue, spawn = self.subscription.queue, self.pipeline.runtime.tasks.spawn
        self._admitters.append(spawn(f"lines {queue}", self._ask()))

    async def consume(self) -> None:
        """Empty the queues that it had before, then take deliveries from its own; returns when it does."""
        if await self.switch.needed():
            await self.switch.empty()
        await self._consume()

    async def _consume(self) -> None:
        queue, runtime, early = self.subscription.queue, self.pipeline.runtime, list[Delivery]()

        def deliver(delivery: Delivery) -> None:  # a lane whose consumer is not known yet could not be opened
            (early.append if self.consumer is None else self.lane.receive)(delivery)

        self.consumer = self.lane.consumer = await runtime.transport.consume(
            queue, prefetch=WINDOW, deliver=deliver, whole=True
        )
        for each in early:
            self.lane.receive(each)
        self._admitters.append(runtime.tasks.spawn(f"wake {queue}", self.lane.watch(self._empty)))

    async def open_history(self, history: Consumer) -> None:
        """The log is opened: nothing of an earlier opening runs any more, and this process has the token."""
        await self.lane.open_history(history)

    def close_history(self) -> None:
        """The log is not read any more: nothing of it begins."""
        self.lane.shut()
        self.lane.consumer = None

    def _empty(self) -> bool:
        return not self.in_progress and not len(self.intake)

    def idle(self) -> bool:
        """Whether no delivery is in progress, none gathers, and its own queue is consumed, or history waits."""
        return super().idle() and not self.lane.gathering and (self.consumer is not None or bool(self.past))

    def has(self, key: bytes, message_id: str) -> bool:
        """As any runner; what gathers is in hand too."""
        return super().has(key, message_id) or self.lane.gathers(message_id)

    def _blocked(self) -> bool:
        return super()._blocked() or not (self.lane.opened or self.switch.works)

    # -- arrivals ---------------------------------------------------------------------------------------------------

    def arrival_of(self, delivery: Delivery, now: datetime) -> Arrival:
        """A delivery with its turn; what comes by a queue of before the switch has none."""
        arrival = super().arrival_of(delivery, now)
        if delivery.queue in self.switch.queues:
            arrival.history = delivery.queue not in self.subscription.former_queues
            return arrival
        if HISTORY in delivery.headers and delivery.exchange == self.subscription.service:
            arrival.history = True
        subject = arrival.envelope.subject if arrival.envelope is not None and arrival.key else ""
        turns, lane = self.turns.subjects, self.lane
        arrival.order = turn = Turn(
            self.subscription.identity, lane.token, subject, lane.next_place(), self.subscription.ordered == "skip",
            lined=lambda: subject in lane.lined,
            waiting=lambda: len(turns[subject].waiting) if subject in turns else 0,
        )  # fmt: skip
        discard = delivery.headers.get(DISCARD)
        if isinstance(discard, str) and discard:
            turn.discard = discard
            arrival.outcome = None if subject else Seen("dead")
        elif subject and isinstance(arrival.outcome, Bury) and arrival.outcome.cause in MENDABLE:
            turn.preset, arrival.outcome = replace(arrival.outcome, row=True), None
        return arrival

    def _go_on(self, fresh: list[Arrival], instead: Again | None) -> None:
        for each in fresh:
            if each.order is None:
                super()._go_on([each], instead)
            elif self._closing or self._is_stale(each):
                self._give_back([each])
            elif not each.order.subject:
                self._run_or_fold(each)
            else:
                self.turns.enter(each.order.subject, each)
                self._advance(each.order.subject)

    def _is_stale(self, arrival: Arrival) -> bool:
        return arrival.delivery.handle.epoch < self._consumer_of(arrival.delivery).epoch

    def _advance(self, subject: str) -> None:
        """Let the next of a subject have its turn, where none has it."""
        known = self.turns.subjects[subject]
        if known.busy:
            self._thin_out(known)
        elif known.idle:
            self.turns.forget(subject)
        elif not known.waiting:
            return
        elif not (known.folding or self.lane.doubted) and (line := self.turns.head_is(known.waiting[0])) is not None:
            self._take_turn(known, known.waiting.pop(0), line)
        elif subject in self.lane.lined or turn_of(known.waiting[0]).admit or self.lane.doubted:
            if not known.folding:  # else it is asked once they have ended
                known.asked = True
                self._asked.append(subject)
                self._some_asked.set()
        elif not self._fold(known) and not known.folding:
            self._take_turn(known, known.waiting.pop(0), None)

    # -- batches of a projection's generation -----------------------------------------------------------------------

    def _fold(self, subject: Subject) -> bool:
        """RULES 14.1: while nothing of a subject has failed its events go to the batches in order; whether one did."""
        before = len(subject.folding)
        while self.batches is not None and subject.waiting and self._may_fold(subject.waiting[0]):
            arrival = subject.waiting.pop(0)
            subject.folding[place_of(arrival)] = arrival
            self.batches.submit(arrival)
        return len(subject.folding) > before

    def _may_fold(self, arrival: Arrival) -> bool:
        return self.batches is not None and may_fold(arrival) and self.batches.takes(arrival)

    def _run_or_fold(self, arrival: Arrival) -> None:
        if self.batches is not None and self._may_fold(arrival):
            self.batches.submit(arrival)
        else:
            self._run(arrival)

    def _run_alone(self, arrival: Arrival) -> None:
        """It has left its batch, and has a transaction of its own once those before it have ended."""
        if arrival.order is None or not arrival.order.subject:
            super()._run_alone(arrival)
            return
        arrival.order.alone = True
        self._run_later(arrival)

    def _run_later(self, arrival: Arrival) -> None:
        """It follows one that has left its batch, and waits behind it."""
        turn = turn_of(arrival)
        self.turns.leave(turn.subject, arrival)
        if self._closing or self._is_stale(arrival):
            self._give_back([arrival])
            return
        self.turns.enter(turn.subject, arrival)
        self._advance(turn.subject)

    def _take_turn(self, subject: Subject, arrival: Arrival, line: Line | None) -> None:
        turn = turn_of(arrival)
        turn.seat = seat_of(arrival.row, arrival.key, line, turn.discard)
        turn.parked = line.waiting if line is not None else 0
        if turn.discard:
            arrival.outcome = Seen("dead")
        elif turn.seat is Seat.PARKS:
            if arrival.outcome is None or _waits(arrival):
                self._park(subject, arrival, f"{_shown(turn.subject)} has a head that is not finished")
                return
            turn.seat = Seat.RUNS  # it is decided already, and stands nowhere
        subject.running = arrival
        self._run(arrival)

    def _run(self, arrival: Arrival) -> None:
        """Handle it, or commit how it ends."""
        if arrival.outcome is None and arrival.order is not None:
            arrival.outcome = arrival.order.preset
        if arrival.outcome is None:
            self._ready.append(arrival)
            self._wake(1)
        else:
            arrival.ended = self.pipeline.runtime.clock.now()
            self.pipeline.committer.submit(arrival)

    def _park(self, subject: Subject, arrival: Arrival, why: str, behind: bytes = b"") -> None:
        turn = turn_of(arrival)
        turn.seat, turn.behind = Seat.PARKS, behind
        arrival.outcome = Again(timedelta(0), deferred=True, cause=PARKED, error=f"it waits: {why}")
        arrival.ended = self.pipeline.runtime.clock.now()
        subject.parking[turn.place] = arrival
        self.lane.may_have_line(turn.subject)
        self.pipeline.committer.submit(arrival)

    def _thin_out(self, subject: Subject) -> None:
        """RULES 9.9: what waits behind one that runs on must not fill the window."""
        running, crowd = subject.running, self.turns.crowd(subject)
        if running is None or turn_of(running).seat is not Seat.RUNS:
            return
        for each in crowd:
            subject.waiting.remove(each)
            self._park(subject, each, f"{_shown(turn_of(running).subject)} has a head that runs on", running.key)

    async def _next(self) -> Arrival:
        while True:
            arrival = await super()._next()
            if arrival.order is None or not self._is_stale(arrival):
                return arrival
            self._give_back([arrival])  # the broker delivers it again

    # -- lines ------------------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        """Ask the store for the lines of those subjects that may have one, many at once."""
        while True:
            await self._some_asked.wait()
            self._some_asked.clear()
            asked, self._asked = list(dict.fromkeys(self._asked)), []
            if asked:
                work = partial(self._answer, asked)
                await until_done(work, STORE_BACKOFF, self.pipeline.runtime.chance, on=StoreError, failed=self._away)
            if self.lane.many_lined:
                with suppress(StoreError):  # it is tried again with the next question
                    await self.lane.tidy(self.turns.subjects)

    def _away(self, error: StoreError) -> None:
        self.pipeline.committer.suspect(text_of(error, ALWAYS))

    async def _answer(self, asked: Sequence[str]) -> None:
        dropped = self._dropped
        if self.lane.doubted and not await self.lane.holds():
            return
        known = [self.turns.subjects[each] for each in asked if each in self.turns.subjects]
        again = [each for subject in known for each in subject.waiting if turn_of(each).admit]
        if again:
            for each in again:
                each.outcome = None
            await self.pipeline.admission.admit(again)
        lines = await lines_of(self.pipeline.runtime.store, self.subscription.identity, asked)
        if dropped != self._dropped:
            return
        for each in again:
            turn_of(each).admit = False
        for subject in asked:
            if subject in self.turns.subjects:
                self._answered(subject, lines.get(subject))

    def _answered(self, subject: str, line: Line | None) -> None:
        known = self.turns.subjects[subject]
        known.asked = False
        if line is None:
            self.lane.lined.discard(subject)
        while known.waiting and known.running is None and not self._closing:
            if line is None and self._fold(known):
                break
            self._take_turn(known, known.waiting.pop(0), line)
        self._thin_out(known)

    # -- ends -------------------------------------------------------------------------------------------------------

    def settled(self, arrivals: Sequence[Arrival], rows: Sequence[OutboxRow] = ()) -> None:
        """These arrivals are settled; what they have released is remembered as the head of its line."""
        self.turns.remember(arrivals, rows)
        super().settled(arrivals, rows)

    def _release(self, arrivals: Sequence[Arrival]) -> None:
        super()._release(arrivals)
        for each in arrivals:
            self._left(each)

    def _left(self, arrival: Arrival) -> None:
        turn = arrival.order
        if turn is None or not turn.subject:
            return
        if isinstance(arrival.outcome, Again | Bury):
            self.lane.may_have_line(turn.subject)
            if self.lane.many_lined:
                self._some_asked.set()
        self.turns.leave(turn.subject, arrival)
        if turn.subject in self.turns.subjects:
            self._advance(turn.subject)

    def readmit(self, arrival: Arrival) -> None:
        """Look it up again, in its place: another run ended it, its commit is unknown, or the token is another's."""
        turn = arrival.order
        if turn is None or not turn.subject:
            super().readmit(arrival)
            return
        self.lane.doubted = True
        self.turns.leave(turn.subject, arrival)
        if self._closing or self._is_stale(arrival):
            arrival.marked = False
            self._give_back([arrival])
            return
        again = self.arrival_of(arrival.delivery, self.pipeline.runtime.clock.now())
        turn_of(again).place, turn_of(again).admit = turn.place, True
        self.turns.enter(turn.subject, again)
        self._advance(turn.subject)

    def _drop(self) -> None:
        """Take out of hand what has not begun: the broker delivers it again."""
        self._dropped += 1
        ready = [each for each in self._ready if each.order is not None]
        for each in ready:
            self._ready.remove(each)
        self._give_back([*self.turns.drop(), *(self.batches.drop() if self.batches is not None else ()), *ready])

    async def _quiet(self) -> None:
        while self.in_progress:  # noqa: ASYNC110 -- runs end one by one, each within its time limit
            await asyncio.sleep(QUIET_SECONDS)
        self.turns.heads.clear()  # before the next token is read: they count under the one before

    async def stop(self, seconds: float) -> None:
        """RULES 1.2, 9.3: begin nothing more, finish what runs; the rest returns with the channel."""
        self._closing = True
        self._give_back([*self.turns.drop(), *(self.batches.drop() if self.batches is not None else ())])
        if self.consumer is None and self._admitters:
            await self._cancel(self._admitters)
            await self._until_idle(seconds)
        await super().stop(seconds)

    def _give_back(self, arrivals: list[Arrival]) -> None:
        for each in arrivals:
            each.outcome, each.ended = GiveBack(), self.pipeline.runtime.clock.now()
            self.pipeline.committer.submit(each)


def _waits(arrival: Arrival) -> bool:
    """Whether it was to wait for its predecessor (RULES 15.4): in a line it waits for its turn first."""
    return arrival.about is not None and arrival.about.waits


def _shown(subject: str) -> str:
    return subject[:SHOWN_CHARS]

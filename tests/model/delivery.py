"""RULES 3, 4 and 8.4 as a state graph: one event on its way through inbox and outbox.

It arrives doubled; the handler succeeds, fails, rejects or defers at will; a commit of what succeeded may be refused; a
dead letter is replayed. The replicas of one service share a store. Each store transaction, publish and acknowledgement
is one move, and a crash may come between any two moves. A replica has one delivery in progress.

Left out: several deliveries in one commit, a commit of unknown outcome (3.2), conflicts and revisions (2.5), breakers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tests.model.explorer import assign, put, take

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "inbox": "RULES 3.1, 3.5: the inbox row decides which arrival runs and which run wins",
    "upsert": "RULES 3.1: the inbox write takes a row that is not final and has a lower attempt",
    "commit-failure": "RULES 3.1: a failed attempt is committed with its retry or its letter",
    "defer-number": "RULES 3.5: deferring attempt n records n - 1",
    "budget": "RULES 8.4: a replay has a fresh budget of attempts",
    "refused-commit": "RULES 3.2: a commit that is refused is a failed attempt",
}

End = Literal["handles", "fails", "rejects", "defers"]
ENDS: tuple[End, ...] = ("handles", "fails", "rejects", "defers")


class Message(NamedTuple):
    """The event at the broker or in a replica's hands."""

    attempt: int
    replay: bool = False


class Run(NamedTuple):
    """An admitted delivery; `end` is "" while its handler is at work."""

    message: Message
    end: End | Literal[""] = ""


class Inbox(NamedTuple):
    """The inbox row; `base` is the attempt of its last death."""

    state: Literal["", "retry", "handled", "dead"] = ""
    attempt: int = 0
    base: int = 0


class Outgoing(NamedTuple):
    """A row of the outbox: the next attempt, what the handler said, or a letter."""

    kind: Literal["retry", "said", "letter"]
    attempt: int = 0
    replay: bool = False


class State(NamedTuple):
    """Everything that decides what may happen next."""

    queue: tuple[Message, ...]
    runs: tuple[Run | None, ...]
    unacked: tuple[Message | None, ...]  # committed and not yet acknowledged: what a crash brings back
    crashes: int  # of these and the next three, how many may still come
    replays: int
    defers: int
    unknown: int
    inbox: Inbox = Inbox()
    outbox: tuple[Outgoing, ...] = ()
    effects: int = 0  # times the handler's own writes were committed
    said: bool = False  # the broker has confirmed what the handler said
    letter: int = 0  # highest attempt for which the desk holds a letter
    early: bool = False  # buried with attempts left
    refusals: int = 0  # commits that are still to be refused
    again: int = 0  # times that a refused commit was repeated without being counted


Step = tuple[str, State]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The rules within a scope: how many of what may come, and the names of `RULES` that are left out."""

    attempts: int = 2
    copies: int = 2
    replicas: int = 2
    crashes: int = 1
    replays: int = 1
    defers: int = 1
    refusals: int = 0  # commits of a handler that succeeded and that the store refuses
    unknown: int = 1  # publishes whose confirm is lost, so that the relay publishes again
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """The event waits, in several copies."""
        return State(
            queue=(Message(1),) * self.copies,
            runs=(None,) * self.replicas,
            unacked=(None,) * self.replicas,
            crashes=self.crashes,
            replays=self.replays,
            defers=self.defers,
            unknown=self.unknown,
            refusals=self.refusals,
        )

    def moves(self, state: State) -> Iterator[Step]:
        """Each replica goes on or dies, the relay publishes, a person replays."""
        for i, (run, unacked) in enumerate(zip(state.runs, state.unacked, strict=True)):
            if unacked is not None:
                yield from self._settle(state, i, unacked)
            elif run is None:
                yield from self._admit(state, i)
            else:
                yield from self._run(state, i, run)
        for row in sorted(set(state.outbox)):
            sent = _published(state, row)
            yield f"the relay publishes {_name(row)}", sent._replace(outbox=take(state.outbox, row))
            if state.unknown:
                yield f"the relay publishes {_name(row)}, unconfirmed", sent._replace(unknown=state.unknown - 1)
        if state.letter and state.replays and state.letter >= state.inbox.attempt:
            replay = Message(state.letter + 1, replay=True)
            yield "a person replays", state._replace(replays=state.replays - 1, queue=put(state.queue, replay))

    def wrong(self, state: State) -> str:
        """No effect twice, no early burial; when nothing moves any more: handled and said, or dead with a letter."""
        if state.effects > 1:
            return "the effect came twice"
        if state.early:
            return "buried with attempts left"
        if state.again > 1:
            return "repeated for ever"
        if state.queue or state.outbox or any(state.runs) or any(state.unacked):
            return ""
        if state.inbox.state == "handled":
            return "" if state.said else "handled, and what it said is lost"
        if state.inbox.state == "dead":
            return "" if state.letter >= state.inbox.attempt else "dead without a letter"
        return "lost"

    def _settle(self, state: State, i: int, unacked: Message) -> Iterator[Step]:
        acked = state._replace(unacked=assign(state.unacked, i, None))
        yield f"{_who(i)} acks", acked
        if state.crashes:
            yield f"{_who(i)} dies before the ack", _died(acked, unacked)

    def _admit(self, state: State, i: int) -> Iterator[Step]:
        for message in sorted(set(state.queue)):
            taken = state._replace(queue=take(state.queue, message))
            if self._runs(state.inbox, message):
                admitted = taken._replace(runs=assign(state.runs, i, Run(message)))
                yield f"{_who(i)} admits attempt {message.attempt}", admitted
            else:
                yield f"{_who(i)} has seen attempt {message.attempt}", taken

    def _run(self, state: State, i: int, run: Run) -> Iterator[Step]:
        idle = assign(state.runs, i, None)
        if state.crashes:
            yield f"{_who(i)} dies", _died(state._replace(runs=idle), run.message)
        if run.end == "handles" and state.refusals:
            yield f"the commit of {_who(i)} is refused", self._refused(state, i, run)
        if run.end:
            committed = self._commit(state, run.message, run.end)
            unacked = assign(state.unacked, i, run.message)
            yield f"{_who(i)} commits", committed._replace(runs=idle, unacked=unacked)
            return
        for end in ENDS:
            if end != "defers" or state.defers:
                ended = state._replace(runs=assign(state.runs, i, run._replace(end=end)))
                yield f"{_who(i)} {end}", ended._replace(defers=state.defers - (end == "defers"))

    def _refused(self, state: State, i: int, run: Run) -> State:
        """All that the run wrote is rolled back; then it is a failed attempt, whose end is another transaction."""
        if "refused-commit" in self.without:
            return state._replace(runs=assign(state.runs, i, Run(run.message)), again=state.again + 1)
        failed = assign(state.runs, i, run._replace(end="fails"))
        return state._replace(runs=failed, refusals=state.refusals - 1)

    def _runs(self, row: Inbox, message: Message) -> bool:
        """Whether an arrival goes on to the handler."""
        if "inbox" in self.without:
            return True
        if row.state == "handled":
            return False
        return message.attempt > row.attempt and (row.state != "dead" or message.replay)

    def _wins(self, row: Inbox, message: Message) -> bool:
        """Whether the inbox write of a run takes the row."""
        if "inbox" in self.without or not row.state:
            return True
        if "upsert" in self.without or row.attempt >= message.attempt:
            return False
        return row.state == "retry" or (row.state == "dead" and message.replay)

    def _commit(self, state: State, message: Message, end: End) -> State:
        """The transaction that ends a run: the inbox row and the outbox rows together, or nothing."""
        attempt, base = message.attempt, state.inbox.base
        if not self._wins(state.inbox, message):
            return state
        if end == "handles":
            said = put(state.outbox, Outgoing("said"))
            return state._replace(inbox=Inbox("handled", attempt, base), outbox=said, effects=state.effects + 1)
        if end == "defers":
            known = attempt if "defer-number" in self.without else attempt - 1
            again = Outgoing("retry", attempt, message.replay)
            return state._replace(inbox=Inbox("retry", known, base), outbox=put(state.outbox, again))
        if "commit-failure" in self.without:
            return state
        used = attempt if "budget" in self.without else attempt - base
        if end == "fails" and used < self.attempts:
            again = Outgoing("retry", attempt + 1, message.replay)
            return state._replace(inbox=Inbox("retry", attempt, base), outbox=put(state.outbox, again))
        return state._replace(
            inbox=Inbox("dead", attempt, attempt),
            outbox=put(state.outbox, Outgoing("letter", attempt)),
            early=state.early or (end == "fails" and attempt - base < self.attempts),
        )


def _published(state: State, row: Outgoing) -> State:
    if row.kind == "retry":
        return state._replace(queue=put(state.queue, Message(row.attempt, row.replay)))
    if row.kind == "said":
        return state._replace(said=True)
    return state._replace(letter=max(state.letter, row.attempt))


def _died(state: State, given_back: Message) -> State:
    return state._replace(queue=put(state.queue, given_back), crashes=state.crashes - 1)


def _who(i: int) -> str:
    return f"replica {i + 1}"


def _name(row: Outgoing) -> str:
    return {"retry": f"attempt {row.attempt}", "said": "what was said", "letter": "the letter"}[row.kind]


def small(without: frozenset[str] = frozenset()) -> dict[str, Delivery]:
    """What the suite visits: what may come, one kind at a time."""
    calm = Delivery(crashes=0, defers=0, unknown=0, without=without)
    return {
        "a crash": replace(calm, crashes=1),
        "a deferral": replace(calm, defers=1),
        "a lost confirm": replace(calm, unknown=1),
        "a refused commit": replace(calm, crashes=1, refusals=1),
    }


def whole(without: frozenset[str] = frozenset()) -> dict[str, Delivery]:
    """What `make models` visits: everything together, then more of each."""
    scope = Delivery(without=without)
    return {
        "a crash, a deferral, a lost confirm": scope,
        "two refused commits": replace(scope, refusals=2, unknown=0),
        "three attempts": replace(scope, attempts=3),
        "three copies": replace(scope, copies=3, unknown=0),
        "three replicas": replace(scope, replicas=3, unknown=0),
        "two crashes": replace(scope, crashes=2, unknown=0),
    }

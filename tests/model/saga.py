"""RULES 5 as a state graph: one step of a saga, the failure of its flow, and its undo.

The replicas of one service share a store. The queue holds copies of the step's event and of the failure, the replay of
the step's letter, the undo that the service sends to itself and the replay of an undo's letter. Each store transaction
is one move; a crash or an expired lease may come between any two moves. The outside charges at most once per key and
answers a repeated key with the first answer. The transaction that ends a run reads the ledger row under its lock.

All rules of this model are built. Left out is what is not built: failures said in another flow, and what holds once a
tombstone was purged. (A dead letter of a step that never began, replayed after that, finds no tombstone and becomes a
zombie that nobody sees.) Left out as well: crashes of all replicas at once, which the tests of the kit's own ledger
functions visit, and conflicts (5.1). An undo that arrives after its run is undone refunds once more here; the kit
settles it as seen, which is no worse: visited that way, no state is bad either.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tests.model.explorer import assign, put, take

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "begun": "RULES 5.2: begun is committed before the handler runs",
    "owner": "RULES 3.1, 5.2: a copy waits while its run is at work, and only the run that begun names wins",
    "mark": "RULES 5.3: a failure marks a begun row, and the end of the run writes the undo",
    "lock": "RULES 3.1, 5.3: the end of a run decides by the row as it stands then, not as it was at the admission",
    "tombstone": "RULES 5.3: a failure that finds no row leaves a tombstone, which refuses the step",
    "void": "RULES 5.2: a step that did nothing ends void and is not undone",
    "next-undo": "RULES 5.4: a fenced run that may have done something starts the next undo",
    "no-second-begin": "RULES 5.6: a run that is undoing or undone never begins again",
}

Kind = Literal["step", "failure", "replay", "undo", "replay of the undo"]
Answer = Literal["ok", "declined", "error"]


class Message(NamedTuple):
    """A delivery; `undo` is the number of an undo, 0 for the others."""

    kind: Kind
    undo: int = 0


STEP, FAILURE, REPLAY = Message("step"), Message("failure"), Message("replay")


class Run(NamedTuple):
    """What a replica is doing; `answer` is what the outside said, "" while it was not called."""

    message: Message  # step or undo
    answer: Answer | Literal[""] = ""
    live: bool = True  # False once its lease has expired: it may still go on, late
    marked: bool = False  # whether the row was marked at its admission


class State(NamedTuple):
    """Everything that decides what may happen next."""

    queue: tuple[Message, ...]
    runs: tuple[Run | None, ...]
    crashes: int  # of these and the next two, how many may still come
    pauses: int
    replays: int
    row: Literal["", "tombstone", "begun", "done", "void", "unsure", "refused", "undoing", "undone"] = ""  # the ledger
    owner: int | None = None  # the replica whose run the begun row names
    mark: bool = False  # a failure arrived while the row was begun
    undos: int = 0  # undos started
    zombie: bool = False  # the undo is dead, and the desk shows it
    inbox: tuple[Message, ...] = ()  # final keys
    tries: int = 0  # attempts of the step that failed
    charge: Literal["", "charged", "declined"] = ""  # what the outside knows of the step's key
    refunded: bool = False
    blind: bool = False  # a run whose lease had expired called the outside and died: nobody can know (5.4)


Step = tuple[str, State]


@dataclass(frozen=True, slots=True)
class Saga:
    """The rules within a scope: how many of what may come, and the names of `RULES` that are left out."""

    copies: int = 2
    failures: int = 2
    replicas: int = 2
    crashes: int = 2
    pauses: int = 2
    attempts: int = 2
    replays: int = 0  # of the letter of a step that ended unsure
    on_dead: bool = False  # the step says a failure when it dies (5.5)
    undo_dies: bool = False
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """Step and failure wait, in several copies."""
        return State(
            queue=(FAILURE,) * self.failures + (STEP,) * self.copies,
            runs=(None,) * self.replicas,
            crashes=self.crashes,
            pauses=self.pauses,
            replays=self.replays,
        )

    def moves(self, state: State) -> Iterator[Step]:
        """Each replica takes a message, goes on, pauses beyond its lease or dies."""
        for i, run in enumerate(state.runs):
            if run is None:
                for message in sorted(set(state.queue)):
                    yield from self._take(state._replace(queue=take(state.queue, message)), i, message)
                continue
            yield from _interrupt(state, i, run)
            if run.answer:
                ended = _work(self._end(state, i, run), i, None)
                yield f"{_who(i)} commits", ended
                if state.crashes:
                    again = ended._replace(queue=put(ended.queue, run.message), crashes=state.crashes - 1)
                    yield f"{_who(i)} commits and dies before the ack", again
            elif run.message == STEP:
                yield from _charge(state, i, run)
            else:
                yield from self._refund(state, i, run)

    def wrong(self, state: State) -> str:
        """When nothing moves any more nothing is half done, and what failed is undone or seen as a zombie."""
        if state.queue or any(state.runs):
            return ""
        failed = FAILURE in state.inbox or (self.on_dead and state.row in {"undoing", "undone"})
        if state.row == "begun" or (state.row == "undoing" and not state.zombie):
            return f"stuck: {state.row}"
        if failed and state.charge == "charged" and not (state.refunded or state.zombie or state.blind):
            return "a zombie that nobody sees"
        if state.refunded and not failed:
            return "refunded without a failure"
        if state.charge == "declined" and state.undos and not state.tries and state.replays == self.replays:
            return "undid a step that had done nothing"
        if failed and state.row == "done":
            return "failed and left done"
        return ""

    def _take(self, state: State, i: int, message: Message) -> Iterator[Step]:
        """A replica without work takes a message, which is no longer in the queue of `state`."""
        match message.kind:
            case "step":
                yield from self._admit(state, i)
            case "failure":
                yield self._fail(state, i)
            case "replay":
                yield self._admit_replay(state, i)
            case "undo" if message in state.inbox:
                yield f"{_who(i)} has seen undo {message.undo}", state
            case "undo":
                yield f"{_who(i)} admits undo {message.undo}", _work(state, i, Run(message))
            case "replay of the undo":
                undo = Message("undo", message.undo)
                known = state._replace(inbox=take(state.inbox, undo))
                yield f"{_who(i)} admits the replay of undo {undo.undo}", _work(known, i, Run(undo))

    def _admit(self, state: State, i: int) -> Iterator[Step]:
        if STEP in state.inbox:
            yield f"{_who(i)} has seen the step", state
        elif state.row == "tombstone" and "tombstone" not in self.without:
            yield f"{_who(i)} refuses the step", state._replace(row="refused", inbox=put(state.inbox, STEP))
        elif "begun" in self.without:
            yield f"{_who(i)} admits the step", _work(state, i, Run(STEP))
        elif state.row != "begun" or state.owner is None or "owner" in self.without:
            begun = state._replace(row="begun", owner=i)
            yield f"{_who(i)} admits the step", _work(begun, i, Run(STEP, marked=state.mark))

    def _admit_replay(self, state: State, i: int) -> Step:
        again = state.row == "unsure"
        if "no-second-begin" in self.without:
            again = again or state.row in {"undoing", "undone"}
        if not again or STEP not in state.inbox:
            return f"{_who(i)} finds the replay obsolete", state
        begun = state._replace(inbox=take(state.inbox, STEP), row="begun", owner=i, tries=0)
        return f"{_who(i)} admits the replay", _work(begun, i, Run(STEP))

    def _fail(self, state: State, i: int) -> Step:
        if FAILURE in state.inbox:
            return f"{_who(i)} has seen the failure", state
        heard = state._replace(inbox=put(state.inbox, FAILURE))
        match state.row:
            case "":
                return f"{_who(i)} hears the failure: tombstone", heard._replace(row="tombstone")
            case "begun":
                return f"{_who(i)} hears the failure: mark", heard._replace(mark=True)
            case "done" | "unsure":
                return f"{_who(i)} hears the failure: undo", _start_undo(heard)
            case _:
                return f"{_who(i)} hears the failure: nothing to do", heard

    def _refund(self, state: State, i: int, run: Run) -> Iterator[Step]:
        refunded = state._replace(refunded=state.refunded or state.charge == "charged")
        yield f"{_who(i)} refunds", _work(refunded, i, run._replace(answer="ok"))
        if not self.undo_dies:
            return
        dead = _work(state._replace(zombie=True, inbox=put(state.inbox, run.message)), i, None)
        yield f"the undo of {_who(i)} dies", dead
        if not state.zombie:
            replay = Message("replay of the undo", run.message.undo)
            yield f"the undo of {_who(i)} dies and is replayed", dead._replace(queue=put(dead.queue, replay))

    def _end(self, state: State, i: int, run: Run) -> State:
        """The transaction that ends one attempt of a step or of an undo."""
        if run.message == STEP:
            return self._end_step(state, i, run)
        if run.message in state.inbox:
            return state
        last = run.message.undo == state.undos
        return state._replace(
            inbox=put(state.inbox, run.message),
            row="undone" if last and state.row == "undoing" else state.row,
            zombie=state.zombie and not last,
        )

    def _end_step(self, state: State, i: int, run: Run) -> State:
        if not self._wins(state, i, run):
            late = state.row in {"undoing", "undone"} and run.answer != "declined"
            return _start_undo(state) if late and "next-undo" not in self.without else state
        if run.answer == "error" and state.tries + 1 < self.attempts:
            return state._replace(tries=state.tries + 1, queue=put(state.queue, STEP), owner=None)
        ended = state._replace(owner=None, inbox=put(state.inbox, STEP), mark=False)
        if run.answer == "declined" and "void" not in self.without:
            return ended._replace(row="void")
        if self._failed(state, run) or (run.answer == "error" and self.on_dead):
            return _start_undo(ended)
        if run.answer != "error":
            return ended._replace(row="done")
        ended = ended._replace(row="unsure")
        if not state.replays:
            return ended
        return ended._replace(queue=put(ended.queue, REPLAY), replays=state.replays - 1, tries=0)

    def _wins(self, state: State, i: int, run: Run) -> bool:
        if self.without & {"begun", "owner"}:
            return STEP not in state.inbox
        return run.live and state.row == "begun" and state.owner == i

    def _failed(self, state: State, run: Run) -> bool:
        """Whether the end of this run has to write the undo for a failure that came while it was at work."""
        if "mark" in self.without:
            return False
        marked = run.marked if "lock" in self.without else state.mark
        return marked or ("begun" in self.without and state.row == "tombstone")


def _interrupt(state: State, i: int, run: Run) -> Iterator[Step]:
    """A crash gives the message back; after a pause beyond the lease the broker gives it to another replica as well."""
    free = state._replace(owner=None if state.owner == i else state.owner)
    if state.crashes:
        blind = run.message == STEP and not run.live and run.answer in {"ok", "error"}
        died = free._replace(queue=put(state.queue, run.message), crashes=state.crashes - 1, blind=state.blind or blind)
        yield f"{_who(i)} dies", _work(died, i, None)
    if state.pauses and run.live and run.message == STEP:
        late = free._replace(queue=put(state.queue, STEP), pauses=state.pauses - 1)
        yield f"{_who(i)} pauses beyond its lease", _work(late, i, run._replace(live=False))


def _charge(state: State, i: int, run: Run) -> Iterator[Step]:
    """The outside is called under the step's key; an error may come before or after it has charged."""
    if state.charge:
        first: Answer = "ok" if state.charge == "charged" else "declined"
        yield f"{_who(i)} calls: {first}", _work(state, i, run._replace(answer=first))
        yield f"{_who(i)} calls: error", _work(state, i, run._replace(answer="error"))
        return
    charged, declined = state._replace(charge="charged"), state._replace(charge="declined")
    yield f"{_who(i)} calls: ok", _work(charged, i, run._replace(answer="ok"))
    yield f"{_who(i)} calls: declined", _work(declined, i, run._replace(answer="declined"))
    yield f"{_who(i)} calls: error, nothing charged", _work(state, i, run._replace(answer="error"))
    yield f"{_who(i)} calls: error, yet charged", _work(charged, i, run._replace(answer="error"))


def _start_undo(state: State) -> State:
    undo = Message("undo", state.undos + 1)
    return state._replace(row="undoing", undos=undo.undo, queue=put(state.queue, undo), mark=False)


def _work(state: State, i: int, run: Run | None) -> State:
    return state._replace(runs=assign(state.runs, i, run))


def _who(i: int) -> str:
    return f"replica {i + 1}"


def small(without: frozenset[str] = frozenset()) -> dict[str, Saga]:
    """What the suite visits: each scenario with one crash and one pause."""
    return _scenarios(Saga(crashes=1, pauses=1, without=without))


def whole(without: frozenset[str] = frozenset()) -> dict[str, Saga]:
    """What `make models` visits: each scenario with two crashes and two pauses, then more of the others."""
    scope = Saga(without=without)
    return _scenarios(scope) | {
        "three attempts": replace(scope, attempts=3),
        "three copies": replace(scope, copies=3),
        "three replicas": replace(scope, replicas=3),
    }


def _scenarios(scope: Saga) -> dict[str, Saga]:
    once, never = replace(scope, failures=1), replace(scope, failures=0)
    return {
        "a failure that comes twice": scope,
        "no failure": never,
        "a letter is replayed while a failure may come": replace(once, replays=1),
        "no failure, on_dead": replace(never, on_dead=True),
        "a failure, on_dead, an undo that may die": replace(once, on_dead=True, undo_dies=True),
    }

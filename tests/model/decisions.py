"""RULES 5 as a state graph driven by the product's own functions: those of `hocket.saga` decide each move.

One saga step in every order of arrival, crash, pause and double. One service with two workers. The queue holds copies
of the step's event S, of the failure event F, the replay R of its letter, the undo U that the service sends to itself
and the replay RU of an undo's letter. Each transaction is one move; a crash or an expired lease may come between any
two moves. The outside charges at most once per key and answers a repeated key with the first answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hocket import saga
from hocket.saga import Begun, Kept, LedgerRow, LedgerState, Obsolete, Refused, Wait
from tests.model.rules_left_out import Decisions, without_rules

Move = tuple[str, int]  # S, F, R, U, RU and the number of the undo
WHO = "AB"
#: The row by which a run ends that was admitted without one, where the rule that writes it is left out.
NOTHING_WRITTEN = LedgerRow("run", "flow", "payments.charge", "order/1", LedgerState.BEGUN)


@dataclass(frozen=True)
class Scenario:
    """How often each kind of move may happen."""

    copies: int = 2
    failures: int = 2
    crashes: int = 2
    pauses: int = 2
    attempts: int = 2
    on_dead: bool = False
    undo_dies: bool = False
    replay: bool = False
    decisions: Decisions = field(default_factory=Decisions)

    def first(self) -> "State":
        """The first state: several copies of step and failure are in the queue."""
        return State(queue=tuple(sorted([("F", 0)] * self.failures + [("S", 0)] * self.copies)))

    def moves(self, state: "State") -> Iterator["Step"]:
        """Every next state, with the name of the move."""
        return moves(state, self)

    def wrong(self, state: "State") -> str:
        """What is wrong in this state; "": nothing."""
        return wrong(state, self)


class Run(NamedTuple):
    """What a worker is handling."""

    what: str  # S or U
    got: str = ""  # what the outside answered: "" not called yet, ok, declined, error
    generation: int = 0
    live: bool = True  # False once its lease has expired: it may still go on, late


class State(NamedTuple):
    """Everything that determines which moves are possible."""

    queue: tuple[Move, ...]
    runs: tuple[Run | None, Run | None] = (None, None)
    row: LedgerRow | None = None
    boot: int = 0
    zombie: bool = False  # its undo is dead, and the desk shows it
    inbox: tuple[Move, ...] = ()  # final keys
    tries: int = 0
    charge: str = ""
    refunded: bool = False
    crashes: int = 0
    pauses: int = 0
    replays: int = 0
    blind: bool = False  # a run whose lease had expired called the outside and died: nobody can know


Step = tuple[str, State]


def put(state: State, *moves: Move) -> State:
    """Add messages to the queue."""
    return state._replace(queue=tuple(sorted(state.queue + moves)))


def settle(state: State, move: Move) -> State:
    """Mark a key as final in the inbox."""
    return state._replace(inbox=tuple(sorted((*state.inbox, move))))


def forget(state: State, move: Move) -> State:
    """A replay reopens a dead key."""
    return state._replace(inbox=tuple(each for each in state.inbox if each != move))


def work(state: State, i: int, run: Run | None) -> State:
    """Worker `i` handles this now."""
    runs = (run, state.runs[1]) if i == 0 else (state.runs[0], run)
    return state._replace(runs=runs)


def is_in(state: State, *states: LedgerState) -> bool:
    """Whether the ledger row is in one of these states."""
    return state.row is not None and state.row.state in states


def ordered(state: State, undo: saga.UndoOrder | None) -> State:
    """Add the ordered undo to the queue, if there is one."""
    return put(state, ("U", undo.generation)) if undo else state


def expire(state: State, i: int) -> State:
    """The lease of worker `i` has expired: its row has no owner."""
    if state.row is not None and state.row.owner == WHO[i]:
        return state._replace(row=state.row._replace(owner="", boot=""))
    return state


def seen(state: State) -> LedgerRow | None:
    """The row as the store shows it: without an owner whose process is gone, because its lease expires."""
    if state.row is not None and state.row.owner and state.row.boot != f"boot {state.boot}":
        return state.row._replace(owner="", boot="")
    return state.row


def take(state: State, i: int, scenario: Scenario) -> Iterator[Step]:
    """Worker `i` is idle and takes any of the messages."""
    who = WHO[i]
    for move in sorted(set(state.queue)):
        waiting = list(state.queue)
        waiting.remove(move)
        after = state._replace(queue=tuple(waiting))
        kind, generation = move
        if kind in {"S", "R"}:
            yield from admit(after, i, scenario, replay=kind == "R")
        elif kind == "F":
            yield from fail(after, who, scenario)
        elif kind == "RU":
            yield (
                f"{who} admits the undo's replay",
                work(forget(after, ("U", generation)), i, Run("U", "", generation)),
            )
        elif move in state.inbox:
            yield f"{who} sees the undo again", after
        else:
            yield f"{who} admits undo {generation}", work(after, i, Run("U", "", generation))


def admit(state: State, i: int, scenario: Scenario, *, replay: bool) -> Iterator[Step]:
    """The step's event reaches `begin`, unless the inbox knows it."""
    who, known = WHO[i], ("S", 0) in state.inbox
    if known and not replay:
        yield f"{who} sees S again", state
        return
    begun = scenario.decisions.begin(
        seen(state),
        run="run",
        correlation_id="flow",
        step="payments.charge",
        scope="order/1",
        token=who,
        boot=f"boot {state.boot}",
        inbox_key=b"S",
        replay=replay,
        now=0.0,
    )
    match begun:
        case Begun(row):
            after = forget(state, ("S", 0))._replace(row=row, tries=0 if replay else state.tries)
            yield f"{who} admits {'the replay' if replay else 'S'}", work(after, i, Run("S"))
        case Refused(row):
            yield f"{who} refuses S", settle(state, ("S", 0))._replace(row=row)
        case Obsolete():
            yield f"{who} finds it obsolete", state
        case Wait():
            return
        case _:
            raise AssertionError(begun)


def fail(state: State, who: str, scenario: Scenario) -> Iterator[Step]:
    """The failure event reaches the undo's queue."""
    if ("F", 0) in state.inbox:
        yield f"{who} sees F again", state
        return
    failed = scenario.decisions.fail(
        state.row, run="run", correlation_id="flow", step="payments.charge", scope="order/1", failure=b"F", now=0.0
    )
    after = settle(state, ("F", 0))._replace(row=failed.row or state.row)
    yield f"{who} hears F", ordered(after, failed.undo)


def end(state: State, i: int, run: Run, scenario: Scenario) -> State:
    """The transaction that ends one attempt of the step."""
    token, boot, row = WHO[i], f"boot {state.boot}", state.row or NOTHING_WRITTEN
    if run.got == "error" and state.tries + 1 < scenario.attempts and scenario.decisions.owns(row, token, boot):
        released = state.row and saga.release(state.row, token, 0.0)
        return put(state._replace(tries=state.tries + 1, row=released), ("S", 0))
    how = {"ok": LedgerState.DONE, "declined": LedgerState.VOID, "error": LedgerState.UNSURE}[run.got]
    spoken = b"spoken" if how is LedgerState.UNSURE and scenario.on_dead else None
    ended = scenario.decisions.end(
        row, token=token, boot=boot, end=how, keeps=Kept(b"S", (b"result",)), spoken=spoken, now=0.0
    )
    after = ordered(state._replace(row=ended.row), ended.undo)
    if not ended.won:
        return after
    after = settle(after, ("S", 0))
    if is_in(after, LedgerState.UNSURE) and scenario.replay and state.replays == 0:
        return put(after._replace(replays=1), ("R", 0))  # a person replays the letter
    return after


def commit(state: State, i: int, run: Run, scenario: Scenario) -> State:
    """The transaction that ends the attempt of worker `i`."""
    if run.what == "S":
        return work(end(state, i, run, scenario), i, None)
    after = work(state, i, None)
    if ("U", run.generation) in state.inbox or state.row is None:
        return after
    row = saga.undone(state.row, run.generation, 0.0)
    zombie = state.zombie and run.generation != state.row.generation
    return settle(after, ("U", run.generation))._replace(row=row or state.row, zombie=zombie)


def message(run: Run) -> Move:
    """The messages that the broker returns when this run crashes."""
    return (run.what, run.generation)


def die(state: State, i: int, scenario: Scenario) -> Iterator[Step]:
    """A crash of one worker, whose lease then expires, and of the whole process, which restarts with a new boot id."""
    run = state.runs[i]
    if run is None or state.crashes >= scenario.crashes:
        return
    lost = state._replace(crashes=state.crashes + 1, blind=state.blind or unseen(run))
    yield f"{WHO[i]} dies", work(expire(put(lost, message(run)), i), i, None)
    alive = [each for each in state.runs if each is not None]
    if i == 0 or state.runs[0] is None:
        blind = state.blind or any(unseen(each) for each in alive)
        gone = put(lost, *(message(each) for each in alive))
        yield "all die", gone._replace(runs=(None, None), boot=state.boot + 1, blind=blind)


def unseen(run: Run) -> bool:
    """Whether a crash now may leave an outside effect that no row records."""
    return run.what == "S" and not run.live and run.got in {"ok", "error"}


def call(state: State, i: int, run: Run, scenario: Scenario) -> Iterator[Step]:
    """The outside call is made."""
    who = WHO[i]
    if run.what == "S":
        first = {"charged": ["ok"], "declined": ["declined"], "": ["ok", "declined"]}[state.charge]
        for answer in [*first, "error", "error, done"]:
            charge = state.charge or {"ok": "charged", "declined": "declined", "error": ""}.get(answer, "charged")
            got = answer.split(",", maxsplit=1)[0]
            yield f"{who} calls: {answer}", work(state._replace(charge=charge), i, run._replace(got=got))
        return
    refunded = state.refunded or state.charge == "charged"
    yield f"{who} refunds", work(state._replace(refunded=refunded), i, run._replace(got="ok"))
    if scenario.undo_dies:
        dead = work(settle(state, ("U", run.generation))._replace(zombie=True), i, None)
        yield f"{who} undo dies", dead
        if not state.zombie:
            yield f"{who} undo dies, to be replayed", put(dead, ("RU", run.generation))


def moves(state: State, scenario: Scenario) -> Iterator[Step]:
    """Every next state, with the name of the move."""
    for i, run in enumerate(state.runs):
        if run is None:
            yield from take(state, i, scenario)
            continue
        yield from die(state, i, scenario)
        if run.live and run.what == "S" and state.pauses < scenario.pauses:
            late = expire(put(state._replace(pauses=state.pauses + 1), ("S", 0)), i)
            yield f"{WHO[i]} pauses beyond its lease", work(late, i, run._replace(live=False))
        if not run.got:
            yield from call(state, i, run, scenario)
            continue
        done = commit(state, i, run, scenario)
        yield f"{WHO[i]} commits and acks", done
        if state.crashes < scenario.crashes:
            again = put(done._replace(crashes=done.crashes + 1), message(run))
            yield f"{WHO[i]} commits, dies before the ack", again


def wrong(state: State, scenario: Scenario) -> str:
    """What is wrong when no move is possible any more; "": nothing."""
    if state.queue or any(state.runs):
        return ""
    failed = ("F", 0) in state.inbox or (scenario.on_dead and is_in(state, LedgerState.UNDOING, LedgerState.UNDONE))
    if is_in(state, LedgerState.BEGUN) or (is_in(state, LedgerState.UNDOING) and not state.zombie):
        return "wedged"
    if failed and state.charge == "charged" and not (state.refunded or state.zombie or state.blind):
        return "a zombie that nobody sees"
    if state.refunded and not failed:
        return "refunded without a failure"
    if state.charge == "declined" and state.row and state.row.generation and not (state.tries or state.replays):
        return "undid a step that had done nothing"
    if failed and is_in(state, LedgerState.DONE):
        return "failed and left done"
    return ""


def whole(without: frozenset[str] = frozenset()) -> dict[str, Scenario]:
    """What `make models` visits."""
    scenario = Scenario(decisions=without_rules(without))
    return {
        "two copies, a failure twice": scenario,
        "no failure": replace(scenario, failures=0),
        "a letter is replayed while a failure may come": replace(scenario, failures=1, replay=True),
        "dies for good, on_dead": replace(scenario, failures=0, on_dead=True),
        "failure, on_dead, undo may die": replace(scenario, failures=1, on_dead=True, undo_dies=True),
    }


def small(without: frozenset[str] = frozenset()) -> dict[str, Scenario]:
    """What the suite visits: the same with one crash and one pause."""
    return {name: replace(scenario, crashes=1, pauses=1) for name, scenario in whole(without).items()}

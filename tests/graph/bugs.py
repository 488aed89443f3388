"""Bugs that are planted in the product's own functions, each with the scope in which the graph finds it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

from hocket.delivery import decide
from hocket.delivery import decode as decoding
from hocket.delivery.arrival import Arrival
from hocket.delivery.commit import Committer
from hocket.delivery.handle import Handling
from hocket.delivery.overdue import admission, ending
from hocket.outcome import Bury, GiveBack, Outcome
from hocket.saga import Ended, Failed, LedgerRow, LedgerState, UndoOrder
from hocket.saga import decisions as saga
from hocket.saga.overdue import Heard, TimerRow, TimerState, Word, hear
from hocket.store.records import Admitted, Ending, InboxRow, RowKind, Written
from hocket.store.sqlite import ledger
from hocket.store.sqlite.timers import due
from tests.graph.graph import Scope
from tests.graph.sagas.depot import Ordered, Recalled
from tests.graph.scopes import ASKED, A, B, bureau, depot
from tests.graph.visit import visit
from tests.model import breaker
from tests.model.explorer import explore


class Found(NamedTuple):
    """The first bad state, the shortest path to it, and how many states were known by then."""

    states: int
    wrong: str
    path: tuple[str, ...]


class Bug(NamedTuple):
    """One bug: the product's function where it is planted, what is put there, and the graph that must find it."""

    where: str
    patches: Callable[[], Sequence[Any]]
    look: Callable[[], Found]


def _saga(make: Callable[[], Scope]) -> Callable[[], Found]:
    def look() -> Found:
        found = visit(make(), count=False)
        return Found(found.states, found.wrong, found.path)

    return look


def _breaker(scope: str) -> Callable[[], Found]:
    def look() -> Found:
        found = explore(breaker.small()[scope])
        return Found(found.states, found.wrong, found.path)

    return look


def _fail(row: LedgerRow | None, **words: Any) -> Failed:
    """No tombstone."""
    return Failed(None, None) if row is None else saga.fail(row, **words)


def _begin(
    connection: Any,
    inbox: Mapping[bytes, InboxRow],
    begins: Sequence[LedgerRow],
    runs: Sequence[str],
    boot: str,
    now: float,
) -> Admitted:
    """The row of a run that begins is told, and not written."""
    known = ledger.ledger(connection, [*(row.run for row in begins), *runs], boot)
    fresh = {row.run for row in begins if row.run not in known and row.inbox_key not in inbox}
    return Admitted(inbox, known, fresh)


def _unsure_is_refused(row: LedgerRow, **words: Any) -> Ended:
    """Who died without an answer has done nothing."""
    if words["end"] is LedgerState.UNSURE and saga.owns(row, words["token"], words["boot"]):
        return Ended(row._replace(state=LedgerState.REFUSED, owner="", boot=""), None, won=True)
    return saga.end(row, **words)


def _undo_twice(row: LedgerRow | None, **words: Any) -> Failed:
    """A failure orders an undo of what is undone already."""
    if row is not None and row.state in {LedgerState.UNDOING, LedgerState.UNDONE}:
        n = row.generation + 1
        after = row._replace(state=LedgerState.UNDOING, generation=n)
        return Failed(after, UndoOrder(row.run, n, row.failure, row.correlation_id))
    return saga.fail(row, **words)


def _declined_is_done(row: LedgerRow, **words: Any) -> Ended:
    """A run that did nothing is done."""
    return saga.end(row, **{**words, "end": LedgerState.DONE if words["end"] is LedgerState.VOID else words["end"]})


def _never_met(row: TimerRow | None, word: Word, blank: TimerRow, **words: Any) -> Heard:
    """An answer leaves what is armed as it is."""
    found = _HEAR(row, word, blank, **words)
    return Heard(None) if row is not None and row.state is TimerState.ARMED and not word.arms else found


_HEAR = hear


def _fired_already(row: TimerRow | None, n: int) -> TimerRow | None:
    """The alarm finds its time-out fired when it was due."""
    return replace(row, version=row.version + 1) if row and row.state is TimerState.FIRED and row.n == n else None


async def _said_before(self: Committer, group: list[Arrival]) -> list[Written]:
    """What `on_dead` says is committed by itself, before the burial."""
    made = [self._ending(each, None) for each in group]
    endings: list[Ending] = []
    before: list[Written] = []
    for each, (whole, _) in zip(group, made, strict=True):
        last = tuple(row for row in whole.outbox if row.kind is RowKind.EVENT)
        if not isinstance(each.outcome, Bury) or not last:
            last = ()
        before += await self.store.commit([Ending(outbox=last)])
        endings.append(whole._replace(outbox=tuple(row for row in whole.outbox if row not in last)))
    written = await self.store.commit(endings)
    self.won((), [row for one in before for row in one.outbox])
    return [one if owned else one._replace(won=False) for one, (_, owned) in zip(written, made, strict=True)]


def _given_back(error: BaseException, **words: Any) -> Outcome:
    """What a breaker defers is given back to its queue, in front."""
    return _FAILED(error, **words) if words["free"] is None else GiveBack()


_FAILED = decide.failed


def _recalled() -> Scope:
    return depot(Ordered(**A), Recalled(**A))


BUGS: Mapping[str, Bug] = {
    "tombstone off": Bug("saga.fail", lambda: [patch("hocket.saga.fail", _fail)], _saga(_recalled)),
    "begun not written": Bug(
        "store.sqlite.ledger.begin", lambda: [patch.object(ledger, "begin", _begin)], _saga(_recalled)
    ),
    "unsure treated as refused": Bug(
        "saga.end",
        lambda: [patch("hocket.saga.end", _unsure_is_refused)],
        _saga(lambda: depot(Ordered(**A), Recalled(**A), errors=2)),
    ),
    "scope ignored": Bug(
        "delivery.decode.scope_of",
        lambda: [patch.object(decoding, "scope_of", lambda *_: '[""]')],
        _saga(lambda: depot(Ordered(**A), Recalled(**B))),
    ),
    "undo twice": Bug(
        "saga.fail",
        lambda: [patch("hocket.saga.fail", _undo_twice)],
        _saga(lambda: depot(Ordered(**A), Recalled(**A), Recalled(**A))),
    ),
    "declined treated as done": Bug(
        "saga.end", lambda: [patch("hocket.saga.end", _declined_is_done)], _saga(_recalled)
    ),
    "time-out not cancelled": Bug(
        "saga.overdue.hear", lambda: [patch.object(ending, "hear", _never_met)], _saga(lambda: bureau(ASKED))
    ),
    "alarm that decides when due": Bug(
        "store.sqlite.timers.due, saga.overdue.fire",
        lambda: [
            patch.object(due, "_CALL", due._CALL.replace("'called'", "'fired'")),  # noqa: SLF001 -- the statement itself
            patch.object(admission, "fire", _fired_already),
        ],
        _saga(lambda: bureau(ASKED)),
    ),
    "attempt counted while open": Bug(
        "delivery.handle.Handling._free",
        lambda: [patch.object(Handling, "_free", lambda *_: None)],
        _breaker("falls ill and recovers"),
    ),
    "probe always the same delivery": Bug(
        "delivery.decide.failed",
        lambda: [patch.object(decide, "failed", _given_back)],
        _breaker("one poisonous payload"),
    ),
    "on_dead outside the transaction": Bug(
        "delivery.commit.Committer._write",
        lambda: [patch.object(Committer, "_write", _said_before)],
        _saga(lambda: bureau(ASKED, errors=1, pauses=1)),
    ),
    "version not compared": Bug(
        "store.sqlite.ledger.changed",
        lambda: [patch.object(ledger, "changed", lambda *_: set())],
        _saga(_recalled),
    ),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug is in the product as long as the context lasts."""
    breaker.judged.cache_clear()
    with ExitStack() as stack:
        for each in BUGS[name].patches():
            stack.enter_context(each)
        yield
    breaker.judged.cache_clear()


def found(name: str) -> Found:
    """What the graph finds with this bug in the product; no `wrong`: nothing."""
    with planted(name):
        return BUGS[name].look()

"""Bugs that are planted in the product's own functions, each with the scope in which the graph finds it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

from hocket.delivery import decode as decoding
from hocket.delivery.arrival import Arrival
from hocket.delivery.commit import Committer
from hocket.delivery.overdue import admission, ending
from hocket.outcome import Bury
from hocket.saga import Ended, Failed, LedgerRow, LedgerState, UndoOrder
from hocket.saga import decisions as saga
from hocket.saga.overdue import Heard, TimerRow, TimerState, Word
from hocket.store.records import Admitted, Ending, InboxRow, RowKind, Written
from hocket.store.sqlite import ledger
from hocket.store.sqlite.timers import due
from tests.graph.depot_saga import Ordered, Recalled
from tests.graph.graph import Scope
from tests.graph.scopes import ASKED, A, B, bureau, depot, order


class Bug(NamedTuple):
    """One bug: where it is planted, what is put there, and the scope in which it shows."""

    where: str  # the product's function
    patches: Callable[[], Sequence[Any]]
    scope: Callable[[], Scope]
    wrong: str  # what the graph says of the first bad state


def _fail(row: LedgerRow | None, **words: Any) -> Failed:
    """No tombstone."""
    return Failed(None, None) if row is None else saga.fail(row, **words)


def _begin(
    connection: Any, inbox: Mapping[bytes, InboxRow], begins: Sequence[LedgerRow], runs: Sequence[str], boot: str, now: float
) -> Admitted:
    """The row of a run that begins is told, and not written."""
    known = ledger.ledger(connection, [*(row.run for row in begins), *runs], boot)
    fresh = {row.run for row in begins if row.run not in known and row.inbox_key not in inbox}
    return Admitted(inbox, known, fresh)


def _unsure_is_refused(row: LedgerRow, **words: Any) -> Ended:
    """Who died without an answer has done nothing."""
    if words["end"] is LedgerState.UNSURE and saga.owns(row, words["token"], words["boot"]):
        return Ended(replace(row, state=LedgerState.REFUSED, owner="", boot=""), None, won=True)
    return saga.end(row, **words)


def _undo_twice(row: LedgerRow | None, **words: Any) -> Failed:
    """A failure orders an undo of what is undone already."""
    if row is not None and row.state in {LedgerState.UNDOING, LedgerState.UNDONE}:
        n = row.generation + 1
        after = replace(row, state=LedgerState.UNDOING, generation=n)
        return Failed(after, UndoOrder(row.run, n, row.failure, row.correlation_id))
    return saga.fail(row, **words)


def _declined_is_done(row: LedgerRow, **words: Any) -> Ended:
    """A run that did nothing is done."""
    return saga.end(row, **{**words, "end": LedgerState.DONE if words["end"] is LedgerState.VOID else words["end"]})


def _never_met(row: TimerRow | None, word: Word, blank: TimerRow, **words: Any) -> Heard:
    """An answer leaves what is armed as it is."""
    found = _HEAR(row, word, blank, **words)
    return Heard(None) if row is not None and row.state is TimerState.ARMED and not word.arms else found


_HEAR = ending.hear
_FIRE = admission.fire


def _fired_already(row: TimerRow | None, n: int) -> TimerRow | None:
    """The alarm finds its time-out fired when it was due."""
    return replace(row, version=row.version + 1) if row and row.state is TimerState.FIRED and row.n == n else None


async def _said_before(self: Committer, group: list[Arrival]) -> list[Written]:
    """What `on_dead` says is committed by itself, before the burial."""
    made = [self._ending(each, None) for each in group]  # noqa: SLF001 -- it stands in for a method of the class
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


BUGS: Mapping[str, Bug] = {
    "tombstone off": Bug(
        "saga.decisions.fail",
        lambda: [patch("hocket.saga.fail", _fail)],
        lambda: depot(Ordered(**A), Recalled(**A)),
        "",
    ),
    "begun not written": Bug(
        "store.sqlite.ledger.begin",
        lambda: [patch("hocket.store.sqlite.ledger.begin", _begin)],
        lambda: depot(Ordered(**A), Recalled(**A)),
        "",
    ),
    "unsure treated as refused": Bug(
        "saga.decisions.end",
        lambda: [patch("hocket.saga.end", _unsure_is_refused)],
        lambda: depot(Ordered(**A), Recalled(**A), errors=2),
        "",
    ),
    "scope ignored": Bug(
        "delivery.decode.scope_of",
        lambda: [patch.object(decoding, "scope_of", lambda *_: '[""]')],
        lambda: depot(Ordered(**A), Recalled(**B)),
        "",
    ),
    "undo twice": Bug(
        "saga.decisions.fail",
        lambda: [patch("hocket.saga.fail", _undo_twice)],
        lambda: depot(Ordered(**A), Recalled(**A), Recalled(**A)),
        "",
    ),
    "declined treated as done": Bug(
        "saga.decisions.end",
        lambda: [patch("hocket.saga.end", _declined_is_done)],
        lambda: depot(Ordered(**A), Recalled(**A)),
        "",
    ),
    "time-out not cancelled": Bug(
        "saga.overdue.hear",
        lambda: [patch.object(ending, "hear", _never_met)],
        lambda: bureau(ASKED),
        "",
    ),
    "alarm that decides when due": Bug(
        "store.sqlite.timers.due",
        lambda: [
            patch.object(due, "_CALL", due._CALL.replace("'called'", "'fired'")),  # noqa: SLF001 -- the statement itself
            patch.object(admission, "fire", _fired_already),
        ],
        lambda: bureau(ASKED),
        "",
    ),
    "on_dead outside the transaction": Bug(
        "delivery.commit.Committer._write",
        lambda: [patch.object(Committer, "_write", _said_before)],
        lambda: bureau(ASKED, errors=1, pauses=1),
        "",
    ),
    "version not compared": Bug(
        "store.sqlite.ledger.changed",
        lambda: [patch("hocket.store.sqlite.ledger.changed", lambda *_: set())],
        lambda: depot(Ordered(**A), Recalled(**A)),
        "",
    ),
}


@contextmanager
def planted(name: str) -> Iterator[Scope]:
    """The scope of this bug, with the bug in the product as long as the context lasts."""
    bug = BUGS[name]
    patches = bug.patches()
    for each in patches:
        each.start()
    try:
        yield bug.scope()
    finally:
        for each in patches:
            each.stop()

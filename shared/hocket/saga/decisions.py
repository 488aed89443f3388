"""What happens to a step run when it begins, ends, fails or is undone (RULES 5): pure decisions about its row.

F is a failure event of the flow; a row is marked when one arrives during the run.

```
            failure first                 F: marked                 F: undo written
 (no row) ---------------> tombstone        begun --+                 done/unsure ----> undoing --> undone
    |                          |              |     | end, unmarked      ^
    | admitted                 | admitted     |     +--> done | void | unsure
    +-------> begun            +--> refused   +--> end, marked: undoing (void stays void)
```
"""

from dataclasses import dataclass

from hocket.saga.ledger import Kept, LedgerRow, LedgerState, UndoOrder


@dataclass(frozen=True, slots=True)
class Begun:
    """The run may begin: write this row before the handler runs."""

    row: LedgerRow


@dataclass(frozen=True, slots=True)
class Wait:
    """Another delivery of this event is being handled: try again a little later, without using an attempt."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The flow failed before this step began: write this row, and do not run the handler."""

    row: LedgerRow


@dataclass(frozen=True, slots=True)
class Conflict:
    """The run belongs to another input: a flow has one run for each scope (RULES 5.1)."""


@dataclass(frozen=True, slots=True)
class Obsolete:
    """The run has ended and must not begin again (RULES 5.6)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The row after a run has ended. `won` False: the run's writes and events are discarded (RULES 3.1).

    `forgotten`: another undo is due, and the row no longer says by which failure (RULES 5.4).
    """

    row: LedgerRow
    undo: UndoOrder | None
    won: bool
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The effect of a failure event: the row to write and the undo to order; None: none."""

    row: LedgerRow | None
    undo: UndoOrder | None


def begin(
    row: LedgerRow | None, *, run: str, correlation_id: str, step: str, scope: str, token: str, boot: str,
    inbox_key: bytes, replay: bool, now: float,
) -> Begun | Wait | Refused | Conflict | Obsolete:  # fmt: skip
    """Decide whether this delivery of a step may begin (RULES 5.1, 5.2, 5.6).

    `token` identifies the run, `boot` the process. A row with an owner is being handled, in whichever process: the
    store clears owners whose lease has expired.
    """
    fresh = LedgerRow(run, correlation_id, step, scope, LedgerState.BEGUN, token, boot, inbox_key, updated=now)
    if row is None:
        return Begun(fresh)
    fresh = fresh._replace(generation=row.generation, kept=row.kept, version=row.version)
    if row.inbox_key and row.inbox_key != inbox_key:
        return Conflict()
    match row.state:
        case LedgerState.TOMBSTONE | LedgerState.REFUSED:
            refused = row._replace(
                state=LedgerState.REFUSED, correlation_id=correlation_id, inbox_key=inbox_key, updated=now
            )
            return Refused(refused)
        case LedgerState.BEGUN:
            if row.owner and row.owner != token:
                return Wait()
            return Begun(fresh._replace(failure=row.failure))
        case LedgerState.UNSURE if replay:
            return Begun(fresh)
        case _:
            return Obsolete()


def owns(row: LedgerRow, token: str, boot: str) -> bool:
    """Whether the run with this token still owns the row. One that does not is fenced; it may call `end` only."""
    return row.state is LedgerState.BEGUN and row.owner == token and row.boot == boot


def end(
    row: LedgerRow, *, token: str, boot: str, end: LedgerState, keeps: Kept, spoken: bytes | None, now: float,
) -> Ended:  # fmt: skip
    """End a run as DONE, VOID or UNSURE; `spoken` is the envelope of what `on_dead` said (RULES 5.2 to 5.5).

    `keeps` is kept for an undo; a run that ended VOID has none.

    A run that is done or unsure is undone if its row is marked with a failure, or if `on_dead` has said one. A fenced
    run (see `owns`) may have taken effect after the undo of its row, so it orders the next undo, of its own result
    where it has one. The caller ends a fenced run as UNSURE also where its outcome would be another attempt.
    """
    if not owns(row, token, boot):
        if row.state not in {LedgerState.UNDOING, LedgerState.UNDONE} or end is LedgerState.VOID:
            return Ended(row, None, won=False)
        if not row.failure:  # it was emptied: nobody knows why it was undone
            return Ended(row, None, won=False, forgotten=True)
        after = row._replace(keeps=keeps) if keeps.results or not row.kept else row
        return Ended(*_undo(after, row.failure, now), won=False)
    if end is LedgerState.VOID:
        return Ended(row._replace(state=end, owner="", boot="", updated=now), None, won=True)
    ended = row._replace(state=end, owner="", boot="", updated=now, keeps=keeps)
    if why := row.failure or spoken:
        return Ended(*_undo(ended, why, now), won=True)
    return Ended(ended, None, won=True)


def release(row: LedgerRow, token: str, now: float) -> LedgerRow:
    """The row after a retry, a deferral or a stop: still begun, without an owner if `token` owned it (RULES 5.2)."""
    if row.state is not LedgerState.BEGUN or row.owner != token:
        return row
    return row._replace(owner="", boot="", updated=now)


def fail(
    row: LedgerRow | None, *, run: str, correlation_id: str, step: str, scope: str, failure: bytes, now: float
) -> Failed:
    """Decide what a failure event of the flow does to the row (RULES 5.3); `failure` is its envelope."""
    if row is None:
        tombstone = LedgerRow(run, correlation_id, step, scope, LedgerState.TOMBSTONE, failure=failure, updated=now)
        return Failed(tombstone, None)
    if row.state is LedgerState.BEGUN and not row.failure:
        return Failed(row._replace(failure=failure, updated=now), None)
    if row.state in {LedgerState.DONE, LedgerState.UNSURE}:
        return Failed(*_undo(row, failure, now))
    return Failed(None, None)


def undone(row: LedgerRow, generation: int, now: float) -> LedgerRow | None:
    """The row after its `generation`-th undo was handled; None if a later undo was ordered."""
    if row.state is not LedgerState.UNDOING or row.generation != generation:
        return None
    return row._replace(state=LedgerState.UNDONE, updated=now)


def _undo(row: LedgerRow, why: bytes, now: float) -> tuple[LedgerRow, UndoOrder]:
    """The row with its next undo started, and the order for it."""
    generation = row.generation + 1
    after = row._replace(state=LedgerState.UNDOING, owner="", boot="", failure=why, generation=generation, updated=now)
    return after, UndoOrder(row.run, generation, why, row.correlation_id)

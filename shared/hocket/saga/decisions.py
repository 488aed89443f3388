"""Steps and their undo (RULES 5), as pure decisions over one ledger row. No store, no clock.

```
            failure first                 F: marked                 F: undo written
 (no row) ---------------> tombstone        begun --+                 done/unsure ----> undoing --> undone
    |                          |              |     | end, unmarked      ^
    | admitted                 | admitted     |     +--> done | void | unsure
    +-------> begun            +--> refused   +--> end, marked: undoing (void stays void)
```
"""

from dataclasses import dataclass, replace

from hocket.saga.ledger import LedgerRow, LedgerState, UndoOrder


@dataclass(frozen=True, slots=True)
class Begun:
    """Go on: write this row before the handler runs."""

    row: LedgerRow


@dataclass(frozen=True, slots=True)
class Wait:
    """Another copy is at work on this run; come again a little later, at no cost."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The flow failed before this step began: nothing is done; write this row."""

    row: LedgerRow


@dataclass(frozen=True, slots=True)
class Conflict:
    """The run belongs to another input: there is one run for a scope in a flow (RULES 5.1)."""


@dataclass(frozen=True, slots=True)
class Obsolete:
    """The run has ended and does not begin again (RULES 5.6)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the end of a run leaves its row; `won` False: its writes and events are dropped (RULES 3.1)."""

    row: LedgerRow
    undo: UndoOrder | None
    won: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """What a failure event leaves: the row to write (None: nothing) and the undo it causes."""

    row: LedgerRow | None
    undo: UndoOrder | None


def begin(
    row: LedgerRow | None, *, run: str, correlation_id: str, step: str, scope: str, token: str, boot: str,
    inbox_key: bytes, step_key: str, input: bytes, replay: bool, now: float,
) -> Begun | Wait | Refused | Conflict | Obsolete:  # fmt: skip
    """May this delivery of a step begin (RULES 5.1, 5.2, 5.6)? `token` names the run, `boot` the process.

    A row with an owner is at work, whatever its process: the store blanks owners whose lease is over.
    """
    fresh = LedgerRow(
        run, correlation_id, step, scope, LedgerState.BEGUN, token, boot, inbox_key, step_key, input, updated=now
    )
    if row is None:
        return Begun(fresh)
    if row.inbox_key and row.inbox_key != inbox_key:
        return Conflict()
    match row.state:
        case LedgerState.TOMBSTONE | LedgerState.REFUSED:
            return Refused(
                replace(
                    row, state=LedgerState.REFUSED, inbox_key=inbox_key, step_key=step_key, input=input, updated=now
                )
            )
        case LedgerState.BEGUN:
            if row.owner and row.owner != token:
                return Wait()
            return Begun(replace(fresh, failure=row.failure, generation=row.generation))
        case LedgerState.UNSURE if replay:
            return Begun(replace(fresh, generation=row.generation))
        case _:
            return Obsolete()


def owns(row: LedgerRow, token: str, boot: str) -> bool:
    """Whether the run of this token still holds the row; one that does not is fenced: it calls `end`, not `release`."""
    return row.state is LedgerState.BEGUN and row.owner == token and row.boot == boot


def end(
    row: LedgerRow, *, token: str, boot: str, end: LedgerState, results: tuple[bytes, ...], spoken: bytes | None,
    now: float,
) -> Ended:  # fmt: skip
    """End a run as DONE, VOID or UNSURE; `spoken` is the envelope that `on_dead` said at its burial (RULES 5.2 to 5.5).

    A failure that was marked, else what was spoken, starts the undo of what is done or unsure. A fenced run (see
    `owns`) that may have done something after the undo of its row starts the next one; it ends as UNSURE also where its
    outcome would be another attempt.
    """
    if not owns(row, token, boot):
        if row.state in {LedgerState.UNDOING, LedgerState.UNDONE} and end is not LedgerState.VOID:
            after = replace(row, results=row.results or results)
            return Ended(*_undo(after, row.failure, now), won=False)
        return Ended(row, None, won=False)
    ended = replace(row, state=end, owner="", boot="", results=results, updated=now)
    if end is LedgerState.VOID:
        return Ended(ended, None, won=True)
    if why := row.failure or spoken:
        return Ended(*_undo(ended, why, now), won=True)
    return Ended(ended, None, won=True)


def release(row: LedgerRow, token: str, now: float) -> LedgerRow:
    """Retry, deferral and give-back leave the run begun and without an owner, where it is theirs (RULES 5.2)."""
    if row.state is not LedgerState.BEGUN or row.owner != token:
        return row
    return replace(row, owner="", boot="", updated=now)


def fail(
    row: LedgerRow | None, *, run: str, correlation_id: str, step: str, scope: str, failure: bytes, now: float
) -> Failed:
    """A failure event of the flow reaches the step's undo (RULES 5.3); `failure` is its envelope."""
    if row is None:
        tombstone = LedgerRow(run, correlation_id, step, scope, LedgerState.TOMBSTONE, failure=failure, updated=now)
        return Failed(tombstone, None)
    if row.state is LedgerState.BEGUN and not row.failure:
        return Failed(replace(row, failure=failure, updated=now), None)
    if row.state in {LedgerState.DONE, LedgerState.UNSURE}:
        return Failed(*_undo(row, failure, now))
    return Failed(None, None)


def undone(row: LedgerRow, generation: int, now: float) -> LedgerRow | None:
    """The row after its `generation`-th undo was handled; None where a later one is still to come."""
    if row.state is not LedgerState.UNDOING or row.generation != generation:
        return None
    return replace(row, state=LedgerState.UNDONE, updated=now)


def _undo(row: LedgerRow, why: bytes, now: float) -> tuple[LedgerRow, UndoOrder]:
    """Start the next undo of this row."""
    generation = row.generation + 1
    after = replace(row, state=LedgerState.UNDOING, owner="", boot="", failure=why, generation=generation, updated=now)
    return after, UndoOrder(row.run, generation, why)

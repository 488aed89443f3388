"""What the end of an attempt does to the ledger row of its step (RULES 5.2, 5.4)."""

from collections.abc import Sequence
from typing import NamedTuple

from hocket import saga
from hocket.broker.topology import routing_key
from hocket.declarations.subscription import Subscription, name_of
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.ending.failure_trace import trace_of
from hocket.envelope.cloudevent import encode
from hocket.saga.ledger import Kept, LedgerRow, LedgerState, UndoOrder
from hocket.store.records import OutboxRow


class LedgerChange(NamedTuple):
    """What to write: at most one row, the order to undo the step, and whether the run still owned its step."""

    rows: tuple[LedgerRow, ...] = ()
    undo: UndoOrder | None = None
    owned: bool = True
    forgotten: bool = False  # another undo is due, and its reason was removed from the row


#: The end of an attempt that is about no step.
UNCHANGED = LedgerChange()


def handled(arrival: Arrival, row: LedgerRow | None, said: Sequence[OutboxRow], boot: str) -> LedgerChange:
    """The attempt succeeded: a step is done (or void, where it said no result), a failure or an undo is noted."""
    now = arrival.ended.timestamp()
    match arrival.role:
        case Role.STEP if row is not None:
            did = _result_key(arrival.subscription)
            results = tuple(each.message.body for each in said if each.message.routing_key == did)
            end = LedgerState.DONE if results else LedgerState.VOID
            keeps = Kept(_input(arrival), results)
            return _change(saga.end(row, token=arrival.token, boot=boot, end=end, keeps=keeps, spoken=None, now=now))
        case Role.FAILURE:
            failure = saga.fail(
                row,
                run=arrival.run,
                correlation_id=arrival.known.correlation_id,
                step=arrival.step,
                scope=arrival.scope,
                failure=trace_of(arrival.known) if row is None else encode(arrival.known, heard=True),
                now=now,
            )
            arrival.reached = _reached(row)
            return LedgerChange((failure.row,) if failure.row else (), failure.undo)
        case Role.UNDO if row is not None:
            undone = saga.undone(row, arrival.generation, now)
            return LedgerChange((undone,) if undone else ())
        case _:
            return UNCHANGED


def buried(arrival: Arrival, row: LedgerRow, spoken: bytes | None, boot: str) -> LedgerChange:
    """A step was given up after it had begun: nobody knows whether it took effect. `spoken` is what `on_dead` said."""
    now, end, keeps = arrival.ended.timestamp(), LedgerState.UNSURE, Kept(_input(arrival))
    return _change(saga.end(row, token=arrival.token, boot=boot, end=end, keeps=keeps, spoken=spoken, now=now))


def fenced(arrival: Arrival, row: LedgerRow | None, boot: str) -> LedgerChange:
    """Another run ended the delivery while this one worked: it leaves at most the order for the next undo."""
    if row is None or arrival.role is not Role.STEP:
        return UNCHANGED
    change = buried(arrival, row, None, boot)
    return UNCHANGED if change.owned else change


def released(arrival: Arrival, row: LedgerRow | None) -> tuple[LedgerRow, ...]:
    """A step that will run again releases its ledger row."""
    if row is None or arrival.role is not Role.STEP or not arrival.token:
        return ()
    after = saga.release(row, arrival.token, arrival.ended.timestamp())
    return (after,) if after is not row else ()


def refused(arrival: Arrival, row: LedgerRow | None) -> tuple[LedgerRow, ...]:
    """A step whose flow failed before it began: the tombstone becomes `refused` (RULES 5.3)."""
    if row is None or row.state not in {LedgerState.TOMBSTONE, LedgerState.REFUSED}:
        return ()
    now = arrival.ended.timestamp()
    return (row._replace(state=LedgerState.REFUSED, inbox_key=arrival.key, updated=now),)


def is_owned(arrival: Arrival, row: LedgerRow | None, boot: str) -> bool:
    """Whether the run still owns its step; also where it is about none."""
    return not arrival.token or row is None or saga.owns(row, arrival.token, boot)


def _reached(row: LedgerRow | None) -> tuple[str, ...]:
    """The flows whose step run a failure found: none where there is no row, or only the trace of another failure."""
    return () if row is None or row.state is LedgerState.TOMBSTONE else (row.correlation_id,)


def _change(ended: saga.Ended) -> LedgerChange:
    """A run that has lost its step writes the row only together with an order to undo."""
    return LedgerChange((ended.row,) if ended.won or ended.undo else (), ended.undo, ended.won, ended.forgotten)


def _input(arrival: Arrival) -> bytes:
    """What the undo of the step will be given as its input: the body that came, where it is as the kit writes one."""
    return arrival.body or encode(arrival.known, heard=True)


def _result_key(subscription: Subscription) -> str:
    """The routing key of the event that a step says when it has taken effect."""
    undo = subscription.undone_by.undo if subscription.undone_by else None
    return routing_key(*name_of(undo.did)) if undo else ""

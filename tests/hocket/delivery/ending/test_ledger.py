"""What the end of an attempt does to the ledger row of its step."""

from datetime import UTC, datetime
from typing import cast

import pytest

from hocket.broker.port import Consumer, Message
from hocket.broker.topology import EVENTS, routing_key
from hocket.clock import SystemClock
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.decode import decode
from hocket.delivery.ending.ledger import UNCHANGED, LedgerChange, buried, fenced, handled, is_owned, released
from hocket.saga.ledger import LedgerRow, LedgerState
from hocket.store.records import OutboxRow, RowKind
from tests.hocket.sample_services import Rung, Shut, delivery_of, message_of, steps

BOOT, TOKEN = "boot", "token"
SAID = OutboxRow(RowKind.EVENT, Message(EVENTS, routing_key("bell.tolled", 1), b"result", "application/json"), 0.0)


def arrival(queue: str = "steps.toll", heard: Rung | Shut | None = None, token: str = TOKEN) -> Arrival:
    """A decoded delivery of the step, at its end."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    delivery = delivery_of(message_of(heard or Rung(name="a"), "k", SystemClock()), queue)
    made = Arrival(delivery, cast(Consumer, None), steps.declarations.subscriptions[queue], now)
    decode(made)
    made.token, made.ended = token, now
    return made


def row(made: Arrival, state: LedgerState = LedgerState.BEGUN, owner: str = TOKEN, failure: bytes = b"") -> LedgerRow:
    """The ledger's row of its step."""
    flow = made.known.correlation_id
    return LedgerRow(made.run, flow, "steps.toll", made.scope, state, owner, BOOT, made.key, failure)


@pytest.mark.parametrize(
    ("said", "state", "results"), [([SAID], LedgerState.DONE, (b"result",)), ([], LedgerState.VOID, ())]
)
def test_a_step_that_succeeds_is_done_or_void(
    said: list[OutboxRow], state: LedgerState, results: tuple[bytes, ...]
) -> None:
    """RULES 5.2: `done` with its result; `void` where it said none. Neither orders an undo."""
    made = arrival()
    [after], order, owned, _ = handled(made, row(made), said, BOOT)
    assert (after.state, after.keeps.results if after.keeps else (), order, owned) == (state, results, None, True)


def test_a_failure_that_was_marked_orders_the_undo_at_the_end_of_the_step() -> None:
    """RULES 5.3: the run that is done while a failure waits orders its undo."""
    made = arrival()
    [after], order, owned, _ = handled(made, row(made, failure=b"{}"), [SAID], BOOT)
    assert after.state is LedgerState.UNDOING
    assert order is not None
    assert (order.run, owned) == (made.run, True)


def test_a_failure_without_a_row_leaves_a_tombstone() -> None:
    """RULES 5.3: a failure that comes first refuses the step."""
    made = arrival("steps.hush", Shut(name="a"))
    assert made.role is Role.FAILURE
    [after], order, owned, _ = handled(made, None, [], BOOT)
    assert (after.state, order, owned) == (LedgerState.TOMBSTONE, None, True)


def test_a_step_that_is_given_up_is_unsure() -> None:
    """RULES 5.5: nobody knows whether it took effect; what `on_dead` said orders its undo."""
    made = arrival()
    silent, spoken = buried(made, row(made), None, BOOT), buried(made, row(made), b"{}", BOOT)
    assert (silent.rows[0].state, silent.undo) == (LedgerState.UNSURE, None)
    assert spoken.rows[0].state is LedgerState.UNDOING
    assert spoken.undo is not None


def test_a_run_that_lost_its_step_writes_nothing() -> None:
    """RULES 3.1: another run owns the row: no row is written and no undo ordered."""
    made = arrival()
    assert handled(made, row(made, owner="another"), [SAID], BOOT) == LedgerChange(owned=False)
    assert not is_owned(made, row(made, owner="another"), BOOT)
    assert is_owned(made, row(made), BOOT)


def test_a_fenced_run_orders_the_next_undo() -> None:
    """RULES 5.4: what it did after the undo must be undone too; without an undo it leaves nothing."""
    made = arrival()
    assert fenced(made, row(made), BOOT) == UNCHANGED
    change = fenced(made, row(made, LedgerState.UNDONE, owner="", failure=b"{}"), BOOT)
    assert change.undo is not None
    assert (change.rows[0].state, change.rows[0].generation, change.owned) == (LedgerState.UNDOING, 1, False)


def test_a_step_that_runs_again_releases_its_row() -> None:
    """RULES 5.2: it stays begun and has no owner; a row of another run is not touched."""
    made = arrival()
    [free] = released(made, row(made))
    assert (free.state, free.owner) == (LedgerState.BEGUN, "")
    assert released(made, None) == ()
    assert released(made, row(made, owner="another")) == ()

"""The ledger of schema 3, one wide row a run under a random text, full of runs in every state."""

from typing import Any

from hocket.envelope.keys import digest, run_key
from hocket.saga.ledger import Kept, LedgerRow, LedgerState
from hocket.store.port import Store
from hocket.store.row_codec import text_of
from hocket.store.schema import ADDED_5

#: Runs of each state; so many that they move in several steps.
OF_EACH = 400
UPDATED = 1000.0
FLOW = "019b76da-a800-7000-8000-{:012x}"

_COLUMNS = """run TEXT NOT NULL, correlation_id TEXT NOT NULL, step TEXT NOT NULL, scope TEXT NOT NULL,
state TEXT NOT NULL, owner TEXT NOT NULL, boot TEXT NOT NULL, inbox_key {raw} NOT NULL, step_key TEXT NOT NULL,
input {raw} NOT NULL, results TEXT NOT NULL, failure {raw} NOT NULL, generation {whole} NOT NULL,
updated {real} NOT NULL, PRIMARY KEY (run)"""
_SQLITE = (
    f"CREATE TABLE hocket_ledger ({_COLUMNS.format(raw='BLOB', whole='INTEGER', real='REAL')}) STRICT, WITHOUT ROWID"
)
_POSTGRES = f"CREATE TABLE hocket_ledger ({_COLUMNS.format(raw='BYTEA', whole='BIGINT', real='DOUBLE PRECISION')})"
_ADDED = "".join(f"DROP TABLE {each.name}; " for each in ADDED_5)
_BACK = """DROP TABLE hocket_timers; DROP TABLE hocket_breakers; DROP TABLE hocket_kept; DROP TABLE hocket_ledger;
UPDATE hocket_meta SET value = '3' WHERE name = 'schema'; UPDATE hocket_meta SET value = '1' WHERE name = 'least';"""
#: What makes tables of this schema those of schema 3.
TO_SQLITE = f"{_ADDED}{_BACK} {_SQLITE};"
TO_POSTGRES = f"{_ADDED}{_BACK} {_POSTGRES};"
#: Parameters: the columns in order.
PUT = "INSERT INTO hocket_ledger VALUES ({})"


def _runs() -> list[tuple[LedgerState, str, str]]:
    return [(state, FLOW.format(number), f'["{state}-{number}"]') for number in range(OF_EACH) for state in LedgerState]


def old_rows() -> list[tuple[Any, ...]]:
    """The columns of each run as schema 3 wrote them."""
    return [
        (
            digest("run", flow, "payments.charge", scope).hex(), flow, "payments.charge", scope, state.value,
            "token" if state is LedgerState.BEGUN else "", "boot-0", scope.encode(), "outside",
            b"input of " + scope.encode(), text_of((b"result",)), b"why", 2, UPDATED,
        )
        for state, flow, scope in _runs()
    ]  # fmt: skip


async def check_moved(store: Store) -> None:
    """Every run is there under its new name, and what it keeps where it may still be undone."""
    kept_in = {LedgerState.DONE, LedgerState.UNSURE, LedgerState.UNDOING}
    wanted: dict[str, LedgerRow] = {}
    kept: dict[str, Kept] = {}
    for state, flow, scope in _runs():
        row = LedgerRow(run_key(flow, "payments.charge", scope), flow, "payments.charge", scope, state)
        wanted[row.run] = row._replace(
            inbox_key=scope.encode(), failure=b"why", generation=2, version=1, updated=UPDATED
        )
        if state in kept_in:
            kept[row.run] = Kept(b"input of " + scope.encode(), (b"result",))
    found = (await store.admit([], [], list(wanted))).ledger
    assert {run for run, row in found.items() if row.kept} == set(kept)
    assert {run: row._replace(kept=0) for run, row in found.items()} == wanted
    assert await store.kept(list(wanted)) == kept

"""The table of commands: which request has which `Idempotency-Key`, and what it was answered (RULES 13)."""

from sqlalchemy import PrimaryKeyConstraint, Table

from hocket.store.tables.columns import KIT, raw, real, texts, whole

#: One row a key: `begun` while its handler runs, then `ended`. `until`: the lease of who runs it, by the store's clock.
COMMANDS = Table(
    "hocket_commands",
    KIT,
    raw("key"),
    *texts("state", "owner", "route", "flow"),
    raw("fingerprint"),
    real("until"),
    *(whole(name) for name in ("attempt", "status")),
    *texts("headers"),
    real("updated"),
    raw("body"),  # last, and found by a row id: keys are walked without it
    PrimaryKeyConstraint("key"),
    sqlite_strict=True,
)

"""The table of backfills: how far a new subscription has read its history (RULES 7.5)."""

from sqlalchemy import PrimaryKeyConstraint, Table

from hocket.store.tables.columns import KIT, real, texts, whole

#: One row a subscription that hears history, by its first name; `hocket.streams.backfill.state` says what each means.
BACKFILLS = Table(
    "hocket_backfills",
    KIT,
    *texts("subscription", "id", "phase", "since", "holder"),
    *(whole(name) for name in ("start", "next")),
    *texts("anchor", "mark"),
    *(whole(name) for name in ("events", "letters", "missed")),
    *texts("reason"),
    *(real(name) for name in ("began", "patrol")),
    PrimaryKeyConstraint("subscription"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

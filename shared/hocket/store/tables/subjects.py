"""Tables about subjects: the latest value that a subscription has handled, and marks of predecessors (RULES 15)."""

from sqlalchemy import PrimaryKeyConstraint, Table

from hocket.store.tables.columns import KIT, raw, real, texts, whole

#: One row a subscription with `latest_by=` and a subject: the greatest value handled, in bytes that sort as it does.
LATEST = Table(
    "hocket_latest",
    KIT,
    raw("key"),
    *texts("field"),
    raw("value"),
    real("updated"),
    PrimaryKeyConstraint("key"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: One row a predecessor (`after=`) and a subject: whether it was handled there, and whether somebody waits for it.
MARKS = Table(
    "hocket_marks",
    KIT,
    raw("key"),
    *(whole(name) for name in ("done", "wanted")),
    real("updated"),
    PrimaryKeyConstraint("key"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

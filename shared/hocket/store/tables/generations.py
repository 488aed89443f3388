"""The generations of projections, how far each has come, and what was handled while a swap is being compared."""

from sqlalchemy import PrimaryKeyConstraint, Table

from hocket.store.tables.columns import KIT, raw, real, texts, whole

#: One row a generation (RULES 14.1). Each commit of its handler holds a shared lock on it (RULES 14.2).
GENERATIONS = Table(
    "hocket_generations",
    KIT,
    *texts("projection"),
    *(whole(name) for name in ("n", "version")),
    *texts("state"),
    whole("made"),  # its tables stand, and `seed` has filled them
    whole("watched"),  # what it handles is noted in `hocket_fresh_facts`, for this generation to be compared with
    whole("forced"),  # a person lets it be swapped in without what the one before has handled
    real("changed"),  # when its state changed, by the store's clock
    real("since"),  # when the first message was said that the log held at the begin of its history
    whole("first"),  # the offset of that message
    *texts("anchor"),  # what identifies that message
    *texts("hears", "tables"),  # types, and names of its tables, as JSON
    *texts("note"),  # why it is not swapped in yet
    PrimaryKeyConstraint("projection", "n"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: How far a generation has come, apart from its row, whose lock the swap takes.
PROGRESS = Table(
    "hocket_projection_progress",
    KIT,
    *texts("projection"),
    whole("n"),
    real("caught_up"),  # the moment of which it has handled all that was said, by the store's clock
    PrimaryKeyConstraint("projection", "n"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: Inbox keys of what a watched generation has handled since it is watched.
FRESH_FACTS = Table(
    "hocket_fresh_facts",
    KIT,
    *texts("projection"),
    raw("key"),
    PrimaryKeyConstraint("projection", "key"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

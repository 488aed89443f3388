"""The kit's tables, written once for every database; `statements` gives the SQL that creates them in one.

`hocket_outbox_owned` holds what is due and unconfirmed, `hocket_outbox_later` what is due later. Both indexes
cover the counts, so that a million timers cost the relay nothing. `hocket_inbox_retry` finds attempts that wait
(RULES 7.5 j). `hocket_outbox_waits` finds what a wrong clock has
put further away than it waits (RULES 11.2); `hocket_timers_waits` does so for time-outs.
"""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, and_
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import ColumnElement

from hocket.store.tables.backfills import BACKFILLS
from hocket.store.tables.columns import KIT, WHOLE, raw, real, texts, wait, whole
from hocket.store.tables.commands import COMMANDS
from hocket.store.tables.generations import FRESH_FACTS, GENERATIONS, PROGRESS
from hocket.store.tables.ordering import ORDERING
from hocket.store.tables.subjects import LATEST, MARKS
from hocket.store.tables.webhooks import WEBHOOKS

#: Version of the tables below, kept in `hocket_meta` as `schema`; the code of this version is known by the same number.
SCHEMA = 5
#: The least version of the code that works with these tables, kept in `hocket_meta` as `least` (RULES 10.3).
LEAST = 4

#: The tables that schema 5 adds, each declared in a file of its own in `store/tables/`.
ADDED_5: tuple[Table, ...] = (
    WEBHOOKS,
    *ORDERING,
    LATEST,
    MARKS,
    COMMANDS,
    GENERATIONS,
    PROGRESS,
    FRESH_FACTS,
    BACKFILLS,
)

META = Table(
    "hocket_meta",
    KIT,
    *texts("name", "value"),
    PrimaryKeyConstraint("name"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

INBOX = Table(
    "hocket_inbox",
    KIT,
    raw("key"),
    *texts("subscription", "event_id", "state"),
    *(whole(name) for name in ("attempt", "base", "version")),
    raw("data_hash"),
    whole("revision"),
    *texts("correlation_id", "said", "death_id"),
    whole("spoke"),
    *texts("history"),
    real("updated"),
    PrimaryKeyConstraint("key"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

OUTBOX = Table(
    "hocket_outbox",
    KIT,
    Column("id", WHOLE, primary_key=True, autoincrement=True),
    *texts("kind"),
    real("due"),
    Column("owner", Text),
    *texts("event_id", "subject"),
    raw("inbox_key"),
    *texts("schedule", "exchange", "routing_key"),
    raw("body"),
    *texts("content_type", "headers", "type", "correlation_id", "app_id"),
    real("timestamp"),
    Column("refused", Text),
    wait(),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

#: Step runs, narrow: it is written twice a run, and what is wide is appended to `hocket_kept` once (RULES 5.4).
LEDGER = Table(
    "hocket_ledger",
    KIT,
    raw("run"),
    *texts("correlation_id", "step", "scope", "state", "owner", "boot"),
    *(raw(name) for name in ("inbox_key", "failure")),
    *(whole(name) for name in ("generation", "kept", "version")),
    real("updated"),
    PrimaryKeyConstraint("run"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: What an undo needs of a run that may be undone; the ledger's row has the id.
KEPT = Table(
    "hocket_kept",
    KIT,
    Column("id", WHOLE, primary_key=True, autoincrement=True),
    *(raw(name) for name in ("run", "input")),
    *texts("results"),
    sqlite_strict=True,
)

OFFSETS = Table(
    "hocket_offsets",
    KIT,
    *texts("reader"),
    whole("next"),
    *texts("token"),
    PrimaryKeyConstraint("reader"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: Processes that may own rows of the outbox and of the ledger, each by one lease (RULES 4.1).
OWNERS = Table(
    "hocket_owners",
    KIT,
    *texts("boot"),
    real("until"),
    wait(),
    PrimaryKeyConstraint("boot"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: Durable time-outs: one row of a flow, a subscription and a scope (RULES 5.7).
TIMERS = Table(
    "hocket_timers",
    KIT,
    raw("run"),
    *texts("correlation_id", "subscription", "scope", "state"),
    whole("n"),
    *(real(name) for name in ("due", "wait")),
    *(raw(name) for name in ("armed_key", "input", "answer")),
    whole("version"),
    real("updated"),
    PrimaryKeyConstraint("run"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: Breakers that are not as they began: one row a name, by which all replicas decide (RULES 6.3).
BREAKERS = Table(
    "hocket_breakers",
    KIT,
    *texts("name", "state"),
    whole("version"),
    *(real(name) for name in ("until", "wait")),
    *(whole(name) for name in ("level", "step", "ok", "bad", "calls", "streak")),
    *texts("slots"),
    real("failed_at"),
    *texts("reason", "by"),
    real("updated"),
    PrimaryKeyConstraint("name"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


def _index(
    name: str,
    *columns: str | ColumnElement[float],
    where: ColumnElement[bool],
    only: str = "",
    table: Table = OUTBOX,
) -> None:
    index = Index(name, *(table.c[column] if isinstance(column, str) else column for column in columns))
    index.info["where"] = where  # for whichever dialect writes it: naming one here would import it
    if only:
        index.info["only"] = only


_index("hocket_inbox_retry", "subscription", "key", where=INBOX.c.state == "retry", table=INBOX)
_KEPT = OUTBOX.c.refused.is_(None)
_OWNED = and_(OUTBOX.c.owner.is_not(None), _KEPT)
_LATER = and_(OUTBOX.c.owner.is_(None), _KEPT)
_index("hocket_outbox_owned", "id", "kind", "due", where=_OWNED, only="sqlite")
_index("hocket_outbox_owners", "owner", "id", where=_OWNED, only="postgresql")
_index("hocket_outbox_later", "due", "id", "kind", "owner", "refused", where=_LATER)
_index("hocket_outbox_waits", OUTBOX.c.due - OUTBOX.c.wait, where=and_(_LATER, OUTBOX.c.wait > 0))
_index("hocket_outbox_schedule", "schedule", where=and_(OUTBOX.c.schedule != "", OUTBOX.c.owner.is_(None)))
_index("hocket_outbox_refused", "id", where=OUTBOX.c.refused.is_not(None))
_ARMED = TIMERS.c.state == "armed"
_index("hocket_timers_due", "due", where=_ARMED, table=TIMERS)
_index("hocket_timers_waits", TIMERS.c.due - TIMERS.c.wait, where=_ARMED, table=TIMERS)


def statements(dialect: Dialect, tables: tuple[Table, ...] | None = None) -> list[str]:
    """The statements that make these tables (all) with their indexes in a database of this dialect."""
    made: list[str] = []
    for table in tables or tuple(KIT.sorted_tables):
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made.extend(
            index_statement(dialect, index)
            for index in sorted(table.indexes, key=lambda each: str(each.name))
            if index.info.get("only", dialect.name) == dialect.name
        )
    return made


def index_statement(dialect: Dialect, index: Index) -> str:
    """The statement that makes one index."""
    index.dialect_options[dialect.name]["where"] = index.info.get("where")
    return str(CreateIndex(index).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def stamps() -> dict[str, str]:
    """What `hocket_meta` says of tables that are as these."""
    return {"schema": str(SCHEMA), "least": str(LEAST)}


def refusal(database: str, found: dict[str, str]) -> str:
    """The sentence with which this code refuses a database, "" where it works with it (RULES 10.3)."""
    least = int(found.get("least", "1"))
    if least <= SCHEMA:
        return ""
    return (
        f"database {database} has tables of schema {found['schema']} that need a hocket of schema {least} or later, "
        f"and this one knows schema {SCHEMA}: install the hocket that made them, or name another database"
    )

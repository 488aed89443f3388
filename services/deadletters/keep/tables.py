"""The desk's tables: letters, their arrivals, receipts about them, acts, webhooks, and what services reported."""

import sqlalchemy as sa

tables = sa.MetaData()

#: A number that only grows.
_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

letters = sa.Table(
    "letters",
    tables,
    sa.Column("no", _COUNT, primary_key=True, autoincrement=True),  # order of arrival, for paging
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("again", sa.Integer, nullable=False),
    sa.Column("replays", sa.Integer, nullable=False),
    sa.Column("settled", sa.JSON),  # outcome, attempt, time, replay of the receipt that settled it
    sa.Column("subscription", sa.Text, nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("normal", sa.Text, nullable=False),  # the error without its numbers and ids
    sa.Column("frame", sa.Text, nullable=False),  # innermost own frame
    sa.Column("group_id", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("spoke", sa.Boolean, nullable=False),
    sa.Column("by_broker", sa.Boolean, nullable=False),
    sa.Column("first_at", sa.Text, nullable=False),  # RFC 3339; of the first and the last death
    sa.Column("last_at", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Text, nullable=False),
    sa.Column("causation_id", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("event_time", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # byte for byte
    sa.Index("letters_event", "event_id", "subscription"),
    sa.Index("letters_group", "group_id"),
    sa.Index("letters_flow", "correlation_id"),
    sa.Index("letters_state", "state", "no"),
)

arrivals = sa.Table(
    "arrivals",
    tables,
    sa.Column("letter", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("time", sa.Text, primary_key=True),
    sa.Column("death_id", sa.Text, nullable=False, index=True),  # as it came; a replay may die under another
    sa.Column("stored_at", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("replay", sa.Text, nullable=False),
    sa.Column("spoke", sa.Boolean, nullable=False),
    sa.Column("by_broker", sa.Boolean, nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("history", sa.JSON, nullable=False),
)

receipts = sa.Table(
    "receipts",
    tables,
    sa.Column("subscription", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("outcome", sa.Text, primary_key=True),
    sa.Column("replay", sa.Text, primary_key=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("receipts_event", "event_id"),
    sa.Index("receipts_replay", "replay"),
)

acts = sa.Table(
    "acts",
    tables,
    sa.Column("no", _COUNT, primary_key=True, autoincrement=True),
    sa.Column("letter", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("base_attempt", sa.Integer, nullable=False),
    sa.Column("base_time", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("replay", sa.Text, nullable=False, index=True),
    sa.Column("tried", sa.Float, nullable=False),
    sa.Column("sent_at", sa.Text, nullable=False),
    sa.Column("failure", sa.Text, nullable=False),
)

counts = sa.Table(
    "counts",
    tables,
    sa.Column("state", sa.Text, primary_key=True),
    sa.Column("many", _COUNT, nullable=False),  # letters in this state, kept with each change
)

marks = sa.Table(
    "marks",
    tables,
    sa.Column("name", sa.Text, primary_key=True),  # `letters` changes with them; `forgotten`: the last look
    sa.Column("value", sa.Text, nullable=False),
)

webhooks = sa.Table(
    "webhooks",
    tables,
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("flow", sa.Text, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False),
    sa.Column("told_at", sa.Text, nullable=False),
)

webhook_counts = sa.Table(
    "webhook_counts",
    tables,
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("boot", sa.Text, primary_key=True),  # each process counts from its start
    sa.Column("source", sa.Text, primary_key=True),  # "" stands for all that do not exist
    sa.Column("end", sa.Text, primary_key=True),
    sa.Column("many", _COUNT, nullable=False),
    sa.Column("last_at", sa.Text, nullable=False),
)

aside = sa.Table(
    "aside",
    tables,
    sa.Column("place", sa.Text, primary_key=True),  # of an invalid fact, in the receipts stream
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

desks = sa.Table(
    "desks",
    tables,
    sa.Column("boot", sa.Text, primary_key=True),  # of each process of a desk that was heard
    sa.Column("instance", sa.Text, nullable=False),
    sa.Column("mine", sa.Boolean, nullable=False),  # it keeps its letters in this database
    sa.Column("first_at", sa.Float, nullable=False),  # seconds since 1970, when it was read
    sa.Column("last_at", sa.Float, nullable=False),
)

services = sa.Table(
    "services",
    tables,
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("manifest_at", sa.Text, nullable=False),
    sa.Column("subscriptions", sa.JSON, nullable=False),
    sa.Column("says", sa.JSON, nullable=False),
    sa.Column("sensitive", sa.JSON, nullable=False),
    sa.Column("heartbeat_at", sa.Text, nullable=False),
    sa.Column("breakers", sa.JSON, nullable=False),
)

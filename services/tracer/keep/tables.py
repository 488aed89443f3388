"""The tracer's tables: facts, what is declared, progress of reading, and summaries and counts of flows."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

tables = MetaData()

events = Table(
    "events", tables,
    Column("source", String, primary_key=True), Column("id", String, primary_key=True),
    Column("type", String, nullable=False), Column("version", Integer, nullable=False),
    Column("subject", String, nullable=False), Column("time", Float, nullable=False),
    Column("flow", String, nullable=False), Column("cause", String, nullable=False),
    Column("data", Text, nullable=False),
    Index("events_flow", "flow"), Index("events_subject", "subject", "time"), Index("events_type", "type", "time"),
)  # fmt: skip
receipts = Table(
    "receipts", tables,
    Column("subscription", String, primary_key=True), Column("event_source", String, primary_key=True),
    Column("event_id", String, primary_key=True), Column("attempt", Integer, primary_key=True),
    Column("outcome", String, primary_key=True), Column("boot", String, primary_key=True),
    Column("time", Float, primary_key=True),
    Column("flow", String, nullable=False), Column("subject", String, nullable=False),
    Column("fact", Text, nullable=False),
    Index("receipts_flow", "flow"), Index("receipts_subject", "subject", "time"),
)  # fmt: skip
manifests = Table(
    "declarations", tables,
    Column("service", String, primary_key=True), Column("digest", String, primary_key=True),
    Column("content", Text, nullable=False),  # longer than an index of PostgreSQL takes: hence its digest
    Column("first", Float, nullable=False), Column("last", Float, nullable=False),
)  # fmt: skip
heartbeats = Table(
    "heartbeats", tables,
    Column("service", String, primary_key=True), Column("instance", String, primary_key=True),
    Column("time", Float, nullable=False), Column("fact", Text, nullable=False),
)  # fmt: skip
retired = Table(
    "retired", tables,  # services that a person retired, until they are heard again
    Column("service", String, primary_key=True), Column("time", Float, nullable=False),
    Column("last", Float, nullable=False), Column("by", String, nullable=False), Column("reason", Text, nullable=False),
    Index("retired_last", "last"),
)  # fmt: skip
aside = Table(
    "aside", tables,
    Column("stream", String, primary_key=True), Column("place", String, primary_key=True),
    Column("why", Text, nullable=False), Column("body", LargeBinary, nullable=False),
)  # fmt: skip
readings = Table(
    "readings", tables,
    Column("stream", String, primary_key=True), Column("offset", BigInteger, nullable=False),
    Column("time", Float, nullable=False), Column("at", Float, nullable=False),
)  # fmt: skip
expectations = Table(
    "expectations", tables,  # who is expected to hear what, by every manifest ever seen
    Column("type", String, primary_key=True), Column("version", Integer, primary_key=True),
    Column("subscription", String, primary_key=True), Column("undo_of", String, primary_key=True),
    Column("since", Float, nullable=False),
)  # fmt: skip
marks = Table(
    "marks", tables,  # `declared`: changes with each new manifest; `forgotten`: when old flows were last looked for
    Column("name", String, primary_key=True), Column("value", String, nullable=False),
)  # fmt: skip
unfolded = Table(
    "unfolded", tables,  # flows with facts that their summary does not have yet, and when the newest was read
    Column("flow", String, primary_key=True), Column("at", Float, nullable=False),
    Index("unfolded_at", "at"),
)  # fmt: skip
turning = Table(
    "turning", tables,  # flows that become zombies then, if nothing more is heard of an undo (RULES 5.8)
    Column("flow", String, primary_key=True), Column("at", Float, nullable=False),
    Index("turning_at", "at"),
)  # fmt: skip
waits = Table(
    "waits", tables,  # the subscriptions that each flow waits for
    Column("flow", String, primary_key=True), Column("subscription", String, primary_key=True),
)  # fmt: skip
breaker_changes = Table(
    "breaker_changes", tables,  # each change of a breaker, as long as flows that have ended are kept
    Column("service", String, primary_key=True), Column("name", String, primary_key=True),
    Column("time", Float, primary_key=True), Column("version", Integer, primary_key=True),
    Column("fact", Text, nullable=False),
    Index("breaker_changes_time", "time"),
)  # fmt: skip
drift_boots = Table(
    "drift_boots", tables,  # what one boot has counted of one source, type and version at one subscription
    Column("stream", String, primary_key=True), Column("boot", String, primary_key=True),
    Column("subscription", String, nullable=False), Column("source", String, nullable=False),
    Column("type", String, nullable=False), Column("version", Integer, nullable=False),
    Column("model", String, nullable=False), Column("mode", String, nullable=False),
    Column("events", BigInteger, nullable=False), Column("looked", BigInteger, nullable=False),
    Column("more", BigInteger, nullable=False), Column("first", Float, nullable=False),
    Column("last", Float, nullable=False), Column("told", Float, nullable=False),
    Column("marks", Text, nullable=False), Index("drift_boots_told", "told"),
)  # fmt: skip
drift_paths = Table(
    "drift_paths", tables,  # how often and since when one path of it drifts
    Column("stream", String, primary_key=True), Column("boot", String, primary_key=True),
    Column("path", String, primary_key=True), Column("kind", String, primary_key=True),
    Column("many", BigInteger, nullable=False), Column("deep", Integer, nullable=False),
    Column("holds", Integer, nullable=False),
    Column("first", Float, nullable=False), Column("first_event", String, nullable=False),
    Column("last", Float, nullable=False), Column("last_event", String, nullable=False),
)  # fmt: skip
drift_alarms = Table(
    "drift_alarms", tables,  # what was warned of, so that it is warned of once
    Column("digest", String, primary_key=True), Column("source", String, nullable=False),
    Column("type", String, nullable=False), Column("version", Integer, nullable=False),
    Column("path", String, nullable=False), Column("kind", String, nullable=False),
    Column("began", Float, nullable=False), Column("told", Float, nullable=False),
)  # fmt: skip
reaches = Table(
    "reaches", tables,  # receipts of failures by the flow whose step run they found, where that is another (RULES 5.3)
    Column("flow", String, primary_key=True), Column("subscription", String, primary_key=True),
    Column("event_source", String, primary_key=True), Column("event_id", String, primary_key=True),
    Column("time", Float, nullable=False), Column("fact", Text, nullable=False),
)  # fmt: skip
flows = Table(
    "summaries", tables,
    Column("id", String, primary_key=True),
    Column("state", String, nullable=False), Column("subject", String, nullable=False),
    Column("type", String, nullable=False), Column("began", Float, nullable=False),
    Column("ended", Float, nullable=False), Column("waits", String, nullable=False),
    Column("since", Float, nullable=False), Column("dead", Integer, nullable=False),
    Column("events", Integer, nullable=False), Column("needs", Integer, nullable=False),  # 1 zombie, 2 dead letter
    Index("summaries_began", "began"), Index("summaries_state", "state", "began"),
    Index("summaries_ended", "ended"), Index("summaries_waits", "waits"), Index("summaries_needs", "needs", "began"),
)  # fmt: skip
counts = Table(
    "counts", tables,  # flows by state, ended ones by the minute of their end; and by what they wait for
    Column("state", String, primary_key=True), Column("minute", BigInteger, primary_key=True),
    Column("many", BigInteger, nullable=False),
)  # fmt: skip
hours = Table(
    "hours", tables,  # what was read of each stream, by the hour of its facts
    Column("stream", String, primary_key=True), Column("hour", BigInteger, primary_key=True),
    Column("messages", BigInteger, nullable=False), Column("bytes", BigInteger, nullable=False),
    Column("facts", BigInteger, nullable=False),
)  # fmt: skip

"""The settings of a process in groups of what belongs together: names, defaults, units, bounds and what each is for.

`hocket.config` reads them from the environment; docs/settings.md is written from here.
"""

from contextvars import ContextVar
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: Default bound of one event on the wire, in bytes.
MAX_EVENT_BYTES = 1024 * 1024
#: Default seconds for which a handler may hold its transaction open.
TRANSACTION_SECONDS = 10.0
#: Default bound of the body of one HTTP request, in bytes.
HTTP_BODY_BYTES = 2 * 1024 * 1024
#: Default bound of the connections to one service's port.
HTTP_CONNECTIONS = 512
#: While a service mounts its routes: the address on which it will listen, as `HOCKET_HTTP_HOST` has it.
LISTENS_ON: ContextVar[str] = ContextVar("LISTENS_ON", default="127.0.0.1")
#: Longest retention, in days.
MOST_DAYS = 36_500

_KIB, _MIB = 1024, 1024 * 1024


def _setting(
    default: object,
    unit: str,
    meaning: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """One setting: its default, unit and meaning, and the bounds of a number (`above` excludes the bound itself)."""
    return Field(default=default, description=meaning, json_schema_extra={"unit": unit}, ge=low, le=high, gt=above)


class Retention(NamedTuple):
    """How long rows are kept once they are final."""

    inbox: timedelta
    dead: timedelta
    ledger: timedelta


class _Group(BaseModel):
    """Settings that belong together; made by itself it has the defaults and reads nothing."""

    model_config = ConfigDict(frozen=True)


class AddressSettings(_Group):
    """Where broker, database and desk are, and where the service listens."""

    broker_url: str = _setting(
        "amqp://guest:guest@127.0.0.1:5672/", "URL",
        "the broker: `amqp://`, `amqps://` (several nodes separated by commas, `?heartbeat=` in seconds), or `memory://`",
    )  # fmt: skip
    database_url: str = _setting(
        "sqlite:///var/{service}.db", "URL", "the database: `sqlite:///` or `postgresql://`; `{service}` is the name"
    )
    http_host: str = _setting("127.0.0.1", "address", "address to listen on; 0.0.0.0 in a container")
    allowed_hosts: str = _setting(
        "", "hosts",
        "names by which the service may be asked over HTTP, separated by commas, besides loopback and the address it "
        "listens on; others are answered 421; `*` allows any",
    )  # fmt: skip
    http_port: int = _setting(
        8000, "port", "port to listen on where `hocket run` names none; 0 takes a free one", 0, 65535
    )
    desk_url: str = _setting("http://127.0.0.1:8081", "URL", "where `hocket dead` finds the dead-letter desk")
    management_url: str = _setting(
        "",
        "URL",
        "RabbitMQ's management API; where empty, port 15672 of the first broker's host, or 15671 by https for `amqps`",
    )


class LimitSettings(_Group):
    """What one process takes in, and what it says about itself."""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda level: str(level).upper())
    ] = _setting("INFO", "level", "least important line that is logged")
    log_format: Literal["auto", "json", "terminal"] = _setting(
        "auto", "format",
        "`json`: one object a line; `terminal`: text with traces; `auto`: text where stderr is a terminal, else JSON",
    )  # fmt: skip
    max_event_bytes: int = _setting(
        MAX_EVENT_BYTES, "bytes", "largest event that is published; never above the broker's own limit", 1, 512 * _MIB
    )
    http_body_bytes: int = _setting(
        HTTP_BODY_BYTES, "bytes", "largest HTTP request; larger ones are answered 413", _KIB, 1024 * _MIB
    )
    http_connections: int = _setting(
        HTTP_CONNECTIONS, "connections",
        "most connections to the port; more are answered 503; never above half of the process's descriptors",
        1, 100_000,
    )  # fmt: skip
    prefetch: int = _setting(
        256, "deliveries",
        "unsettled deliveries a handler takes from the broker where it declares no `prefetch=`, and never fewer than "
        "its concurrency; lower it where events are large, raise it where the broker is far away", 1, 2000,
    )  # fmt: skip
    intake_bytes: int = _setting(
        64 * _MIB, "bytes",
        "bodies in memory between broker and handlers, in equal shares for a service's handlers; lower it where memory "
        "is short",
        _KIB, 64 * 1024 * _MIB,
    )  # fmt: skip
    commit_attempts: int = _setting(
        128,
        "attempts",
        "most attempts that one transaction commits; raise it where a commit is slow, to half of the prefetch",
        1,
        1000,
    )
    blocking_threads: int = _setting(
        16, "threads",
        "blocking calls of handlers, `tx.blocking(…)`, that run at once in a service; further ones wait", 1, 1000,
    )  # fmt: skip
    transaction_seconds: float = _setting(
        TRANSACTION_SECONDS, "s",
        "how long a handler may hold its transaction open before it is rolled back; on SQLite everybody else waits "
        "meanwhile", 0.1, 3600,
    )  # fmt: skip


class WebhookSettings(_Group):
    """Webhooks in: what one address may send, and how slowly. Bodies are bounded by `HOCKET_HTTP_BODY_BYTES`."""

    webhook_address_rate: float = _setting(
        1000, "pushes/s", "most webhooks of one remote address; more are answered 429; 0: no bound", 0, 1_000_000
    )
    webhook_proxies: int = _setting(
        0, "proxies",
        "trusted proxies before the service: the address is then what the first of them saw, by `X-Forwarded-For`",
        0, 10,
    )  # fmt: skip
    webhook_body_seconds: float = _setting(
        10, "s", "how long the body of a webhook may take; then it is answered 408", 0.1, 60
    )


class StopSettings(_Group):
    """The bounds of a stop, for each service of the process: its services stop one after another.

    Each needs at most the sum of the first three, 5 s for HTTP requests, and about 15 s for tasks and connections to
    end; usually a second. `hocket run` ends the process after `HOCKET_EXIT_SECONDS`, whatever a handler does. Give a
    container a longer grace period, or nobody learns what did not stop: without one Kubernetes kills after 30 s, Docker
    after 10 s.
    """

    stop_seconds: float = _setting(
        10, "s", "how long handlers may finish at a stop; then they are cancelled and run again", 0, 3600
    )
    drain_seconds: float = _setting(
        5, "s", "how long a stop then publishes what is due; the rest is published after the next start", 0, 3600
    )
    uses_close_seconds: float = _setting(10, "s", "how long what `uses=` made may take to close", 0.1, 3600)
    exit_seconds: float = _setting(
        60, "s",
        "how long a stop of the whole process may take; then the process ends itself with status 1 and logs what did "
        "not stop", 1, 36_000,
    )  # fmt: skip


class PostgresSettings(_Group):
    """Connections to PostgreSQL and their bounds. A process takes at most the three pools for each of its services."""

    postgres_schema: str = _setting(
        "",
        "name",
        "the schema of the tables, made where it is absent; `{service}` is the name; where empty, the first schema of "
        "the user's `search_path`",
    )
    postgres_pooling: Literal["session", "transaction"] = _setting(
        "session",
        "mode",
        "`transaction` behind a pooler that may give each transaction another connection, as pgbouncer's `pool_mode`; "
        "a statement then takes a few round trips more",
    )
    postgres_pool: int = _setting(
        16, "connections", "for handlers' transactions; raise it where handlers wait for a connection", 1, 1000
    )
    postgres_kit_pool: int = _setting(4, "connections", "for the kit's own statements", 2, 100)
    postgres_read_pool: int = _setting(4, "connections", "for `read()`, of handlers, pages and HTTP routes", 1, 1000)
    postgres_pool_seconds: float = _setting(30, "s", "how long a handler waits for a free connection", 0.1, 600)
    postgres_connect_seconds: float = _setting(
        10, "s", "how long making a connection may take; raise it where the server is far away", 0.1, 600
    )
    postgres_statement_seconds: float = _setting(
        30, "s", "how long a commit or one of the kit's statements may take; then the connection is given up", 0.1, 3600
    )
    postgres_lock_seconds: float = _setting(
        0.1, "s", "how long the group commit waits for a row that another transaction holds", 0.01, 10
    )
    owner_lease_seconds: float = _setting(
        15,
        "s",
        "after so long without renewal the other replicas take over what a process owned in the outbox",
        1,
        3600,
    )
    owner_renew_seconds: float = _setting(
        5, "s", "how often a process renews that lease: at least twice within it", 0.1, 1800
    )


class OutboxSettings(_Group):
    """How said events leave for the broker."""

    outbox_batch: int = _setting(64, "messages", "most messages of one publish", 1, 1000)
    outbox_senders: int = _setting(
        8, "publishes", "publishes in flight at once; raise it where the broker is far away", 1, 100
    )
    outbox_memory_rows: int = _setting(
        4096, "rows", "unconfirmed rows in memory; further rows stay in the database and are read again", 16, 1_000_000
    )
    outbox_max_events: int = _setting(
        10_000, "events", "due and unconfirmed events at which intake pauses and HTTP answers 503", 1, 100_000_000
    )
    outbox_max_receipts: int = _setting(
        10_000, "receipts", "unconfirmed receipts at which further ones are dropped and counted", 1, 100_000_000
    )
    outbox_look_seconds: float = _setting(
        5, "s",
        "how often the outbox is searched for what other processes wrote or freed; raise it where many services share "
        "a server", 0.1, 3600,
    )  # fmt: skip
    receipt_linger_seconds: float = _setting(
        0.05, "s", "how long receipts wait for each other; raise it to spare the broker, the tracer then lags", 0, 60
    )


class WatchSettings(_Group):
    """How a service watches its broker."""

    topology_seconds: float = _setting(
        60, "s", "how often the topology is declared again, so that what was deleted by hand comes back", 1, 86_400
    )
    log_check_events_per_second: int = _setting(
        200, "events/s",
        "how much of the log a service compares with its inbox, to notice a binding that was removed; of more it "
        "compares a part; 0: nothing", 0, 100_000,
    )  # fmt: skip
    backfill_marker_seconds: float = _setting(
        60, "s",
        "how long after its binding a new subscription marks the log, up to where it reads history; longer than a "
        "publish may be on its way to the log", 0, 3600,
    )  # fmt: skip
    backfill_patrol_seconds: float = _setting(
        3600, "s", "how long after the cut-over a new subscription's log is still compared with its inbox", 0, 86_400
    )
    projection_grace_seconds: float = _setting(
        3600, "s", "how long a generation of a projection is fed after another has taken its place, for old processes",
        0, 2_592_000,
    )  # fmt: skip
    projection_removal_seconds: float = _setting(
        600, "s", "how long after that its tables and its queue are kept, in case a database fails over", 0, 86_400
    )
    unconfirmed_seconds: float = _setting(
        10, "s", "how long the broker may confirm nothing before the service is not ready", 1, 3600
    )


class SecretSettings(_Group):
    """Secrets of the kit. `hocket settings` never shows their values."""

    pseudonym_key: str = _setting(
        "", "secret",
        "key of the pseudonyms in subjects, at least 16 characters, the same for every service and both consoles; to "
        "replace it, write the new one before the old one with a comma",
    )  # fmt: skip


class RetentionSettings(_Group):
    """How long a service keeps what is final; what is not final is never deleted."""

    inbox_days: float = _setting(30, "days", "how long what was handled is remembered", above=0, high=MOST_DAYS)
    ledger_days: float = _setting(
        30, "days", "how long step runs can still be undone; at least as long as the inbox", above=0, high=MOST_DAYS
    )
    dead_days: float = _setting(
        365,
        "days",
        "how long the rows of dead letters are kept; at least as long as the inbox",
        above=0,
        high=MOST_DAYS,
    )

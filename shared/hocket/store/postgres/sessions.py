"""How a connection to PostgreSQL is made and told its settings: directly, or through a pooler such as pgbouncer.

A pooler refuses most settings that come with the connection, so they are set by a statement: once a connection where
the session stays on one server process, and in each transaction where a pooler may change it between two of them.
There nothing is prepared by name and every statement runs inside a transaction, for a statement without a name belongs
to the server process.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hocket.errors import ConfigError
from hocket.setting_groups import PostgresSettings
from hocket.store.postgres.errors import shown

#: Statements kept prepared on one connection, where a connection stays on one server process.
PREPARED = 256
#: How often `check_pooling` looks whether two connections share a server process; a pooler gives the one freed last.
POOLING_LOOKS = 3

#: A statement compiled to machine code costs more than it gains, and an isolation that was set elsewhere fails more.
SETTINGS = {"jit": "off", "default_transaction_isolation": "read committed"}

#: Puts a schema before the others, so that what stands elsewhere (an extension's functions) is found all the same.
_SEARCH_PATH = "set_config('search_path', quote_ident({schema}) || ', ' || current_setting('search_path'), {local})"
#: As `DISCARD ALL`, which takes no other statement beside it; what is prepared stays.
_AFRESH = (
    "RESET SESSION AUTHORIZATION; RESET ALL; SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; DISCARD TEMP; "
    "DISCARD SEQUENCES"
)
_PID = "SELECT pg_backend_pid()"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Sessions:
    """Makes the connections of one store. `schema` "" is the first schema of the role's own search path."""

    def __init__(self, url: str, schema: str, settings: PostgresSettings) -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self.shown = shown(self._url)
        self.schema = schema
        self.connect_seconds = settings.postgres_connect_seconds
        #: Whether each transaction may run on another server process (HOCKET_POSTGRES_POOLING).
        self.by_transaction = settings.postgres_pooling == "transaction"
        #: Whether something between here and the server gives connections numbers of its own; `check_pooling` finds it.
        self.pooled = self.by_transaction

    @property
    def arguments(self) -> dict[str, Any]:
        """What asyncpg is given for each connection."""
        return {
            "dsn": self._url,
            "timeout": self.connect_seconds,
            "statement_cache_size": 0 if self.by_transaction else PREPARED,
            "server_settings": {"application_name": "hocket"},
        }

    async def connect(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        answer: float | None = None,
        kind: type[asyncpg.Connection] = asyncpg.Connection,
    ) -> asyncpg.Connection:
        """A connection of its own, with seconds for an answer where given; what asyncpg raises comes through."""
        connection = await asyncpg.connect(**self.arguments, command_timeout=answer, connection_class=kind)
        try:
            await self.tell(connection, settings)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def tell(self, connection: asyncpg.Connection, settings: Mapping[str, str] | None = None) -> None:
        """Set what holds for a whole session, where there is one; else `begin` sets it in each transaction."""
        if not self.by_transaction:
            await connection.execute(self._set(settings, local=False))

    def afresh(self) -> str:
        """The statements after which a connection for handlers is as it was made."""
        return f"{_AFRESH}; {self._set(None, local=False)}"

    def afresh_within(self) -> str:
        """The statements that undo, before a COMMIT, what would stay on a server process that goes to other clients."""
        return f"{_AFRESH}; {self._set(None, local=True)}"

    def roll_back(self) -> str:
        """The statements that roll back; a session lock does not end with that."""
        return "ROLLBACK; SELECT pg_advisory_unlock_all()" if self.by_transaction else "ROLLBACK"

    def begin(self, settings: Mapping[str, str] | None = None, *, read_only: bool = False) -> str:
        """The statements that begin a transaction."""
        if not self.by_transaction:
            return "BEGIN READ ONLY" if read_only else "BEGIN"
        mode = " READ ONLY" if read_only else ""
        return f"BEGIN ISOLATION LEVEL READ COMMITTED{mode}; {self._set(settings, local=True)}"

    def in_transaction(self, settings: Mapping[str, str] | None = None) -> str:
        """The statement that sets the same inside a transaction that has begun."""
        return self._set(settings, local=True)

    def _set(self, settings: Mapping[str, str] | None, *, local: bool) -> str:
        word = "true" if local else "false"
        whole = SETTINGS | dict(settings or {})
        parts = [f"set_config({_literal(name)}, {_literal(value)}, {word})" for name, value in whole.items()]
        if self.schema:
            parts.append(_SEARCH_PATH.format(schema=_literal(self.schema), local=word))
        return "SELECT " + ", ".join(parts)

    async def check_pooling(self) -> None:
        """Find out whether a pooler stands before the server; `ConfigError` where it is not the one that was declared.

        A pooler gives connections numbers of its own. Two connections that get one server process, one after the other,
        are pooled by transaction; what was set on such a connection would be lost, or somebody else's.
        """
        async with self._unprepared() as first:
            async with first.transaction():
                mine = await first.fetchval(_PID)
            if self.by_transaction:
                return
            self.pooled = mine != first.get_server_pid()
            if self.pooled and await self._shared(first):
                raise ConfigError(
                    f"database {self.shown} is behind a pooler that gives each transaction another connection: set "
                    "HOCKET_POSTGRES_POOLING=transaction, or let the pooler pool by session"
                )

    async def _shared(self, first: asyncpg.Connection) -> bool:
        async with self._unprepared() as second:
            for _ in range(POOLING_LOOKS):
                async with first.transaction():
                    mine = await first.fetchval(_PID)
                async with second.transaction():
                    if await second.fetchval(_PID) == mine:
                        return True
        return False

    @asynccontextmanager
    async def _unprepared(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection that prepares nothing by name, so that it works behind any pooler."""
        words = self.arguments | {"statement_cache_size": 0, "command_timeout": self.connect_seconds}
        connection = await asyncpg.connect(**words)
        try:
            yield connection
            await connection.close(timeout=self.connect_seconds)
        finally:
            connection.terminate()

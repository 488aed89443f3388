"""What both drivers do alike for a transaction that an application owns: `service.tx(connection=…)`.

Each driver's `JoinedTx` runs the kit's statements on the application's connection; the application commits.
"""

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import HocketError


class ApplicationTransaction:
    """The application's connection, and its commit."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    async def db(self) -> AsyncConnection:
        """The application's own connection."""
        return self._connection

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` when the application commits: just before the database has done it."""
        event.listen(self._connection.sync_connection, "commit", lambda _: call(), once=True)


def another_database(name: str, *, or_not: str = "") -> HocketError:
    """The error for a connection that does not lead to the service's own database `name`."""
    return HocketError(
        f"tx(connection=…) joins a transaction on the service's own database {name}, and this connection is to "
        f"another{or_not}: give the application's engine the same database, or leave connection= out"
    )

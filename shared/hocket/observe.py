"""`Observer`: a service that reads the kit's streams and dead letters and replays deliveries.

The tracer and the dead-letter desk are observers; a team can build its own. `Raw` is one message as they read it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypeVar

from hocket.broker.topology import DEAD, LOG, RECEIPTS, UNHEARD
from hocket.errors import DeclarationError
from hocket.runtime import current
from hocket.service import Service
from hocket.tx import Tx

D = TypeVar("D", default=None)

Source = Literal["log", "receipts", "unheard", "dead"]
QUEUES: Mapping[str, str] = {"log": LOG, "receipts": RECEIPTS, "unheard": UNHEARD, "dead": DEAD}


@dataclass(frozen=True, slots=True)
class Raw:
    """One message exactly as the broker has it; `offset` is None on the dead-letter queue."""

    body: bytes
    headers: Mapping[str, object] = field(default_factory=dict)
    offset: int | None = None
    content_type: str = ""
    routing_key: str = ""


Reader = Callable[[list[Raw], Tx[Any]], Awaitable[None]]


class Observer(Service[D]):
    """A service that may read the kit's streams and dead letters, and replay a delivery to one subscription."""

    readers: dict[Source, Reader]

    def reads(self, source: Source) -> Callable[[Reader], Reader]:
        """Declare the one reader of `source`.

        It gets batches in order. Its writes through `await tx.db()` and its offset are one transaction (RULES 7.1).
        When it raises, the batch is repeated. Raises `DeclarationError` for an unknown source or a second reader.
        """
        if source not in QUEUES:
            raise DeclarationError(f"service {self.name} reads {source!r}; name one of {', '.join(QUEUES)}")

        def declare(reader: Reader) -> Reader:
            readers: dict[Source, Reader] = self.__dict__.setdefault("readers", {})
            if source in readers:
                raise DeclarationError(f"service {self.name} reads {source} twice; keep one reader")
            readers[source] = reader
            return reader

        return declare

    @property
    def boot(self) -> str:
        """The id of this start of this process, as it stands in the heartbeats that it sends."""
        return current(self.name).boot

    def pseudonyms_of(self, value: str) -> list[str]:
        """Under what a clear value stands in subjects, the newest key's first; nothing without a key (RULES 18.2)."""
        return current(self.name).pseudonyms.every(value)

    async def take_turn(self, db: AsyncConnection) -> None:
        """Wait until no other transaction of this service holds the turn, and hold it until this one ends.

        For what two readers, or a reader and an act, work out from the same rows: on PostgreSQL neither would see
        what the other has not committed yet, and both could deadlock. SQLite has one writer at a time anyway.
        """
        if db.dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(hashtext(:name), hashtext(current_schema()))")
            await db.execute(lock, {"name": self.name})

    async def send(self, subscription: str, raw: Raw, *, replay: str, attempt: int) -> None:
        """Publish `raw` again to one `subscription`, with its foreign headers, and wait for the confirm (RULES 8.4).

        `replay` is the id of the replay; `attempt` is one more than the letter's. Raises `TransportError` when the
        broker does not confirm it. If the connection was lost, it may have been published all the same; sending it
        again with the same replay id is harmless.
        """
        await current(self.name).send(
            subscription, raw.body, raw.content_type, replay=replay, attempt=attempt, headers=raw.headers
        )

    async def let_go(self, subscription: str, raw: Raw, *, death: str, attempt: int) -> None:
        """Tell an ordered `subscription` that the head which died so is given up, and wait for the confirm (RULES 9.6).

        Its successors go on. Said again it finds nothing to do. `TransportError` when the broker does not confirm it.
        """
        await current(self.name).send(
            subscription, raw.body, raw.content_type, death=death, attempt=attempt, headers=raw.headers
        )

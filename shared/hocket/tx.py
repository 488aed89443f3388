"""What a handler holds while it runs: one attempt and its one transaction."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypeVar

from hocket.breaker import Breaker
from hocket.declarations.projections.tables import generation_table, is_own
from hocket.declarations.subscription import Projected, name_of
from hocket.envelope.keys import outside_key
from hocket.envelope.said_keys import SaidKey, SaidKeys
from hocket.envelope.token import Fact, encode_token
from hocket.errors import HocketError, OutsideInHistory, OutsideTooLate, Unsayable
from hocket.event import Event, Scheduled, schedule_name
from hocket.masking.mask import Mask, mask_of
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.guard import BreakerGuard
from hocket.resilience.time_limit import LimitedRun
from hocket.store.unit_of_work import UnitOfWork

#: Events that one transaction outside a handler may say.
MAX_SAID = 10_000

D_co = TypeVar("D_co", covariant=True, default=None)
T = TypeVar("T")


class AttemptInfo(NamedTuple):
    """What is known of one attempt before it begins."""

    inbox_key: bytes
    correlation_id: str
    subject: str
    time: datetime
    idempotency_key: str = ""  # "": derived from the inbox key
    step_key: str = ""
    attempt: int = 1
    replaying: bool = False
    quiet: bool = False  # it may not call outside: it is history (RULES 7.5 h)
    projected: Projected | None = None
    former: int = 0  # in `seed=`: the generation that serves


class Tx(Generic[D_co]):
    """One attempt of a handler and its transaction."""

    def __init__(
        self,
        about: AttemptInfo,
        use: D_co,
        unit: UnitOfWork,
        guard: BreakerGuard,
        blocking: BlockingCalls,
        limit: LimitedRun | None = None,
    ) -> None:
        self._about = about
        self._blocking = blocking
        self._limit = limit
        self._use = use
        self._unit = unit
        self._guard = guard
        self._opened = False
        self._called: set[str] = set()

    @property
    def use(self) -> D_co:
        """What `uses` of the service yielded."""
        return self._use

    @property
    def idempotency_key(self) -> str:
        """The key for an outside call: the same in every attempt for this event (RULES 2.4)."""
        return self._about.idempotency_key or outside_key(self._about.inbox_key)

    def key(self, name: str) -> str:
        """The key for a further outside call, by name; also the same in every attempt."""
        return outside_key(self._about.inbox_key, name)

    @property
    def step_key(self) -> str:
        """In an undo: the `idempotency_key` that the step had."""
        return self._about.step_key

    @property
    def correlation_id(self) -> str:
        """The id of the flow."""
        return self._about.correlation_id

    @property
    def subject(self) -> str:
        """The subject of the event, `order/4711`."""
        return self._about.subject

    @property
    def time(self) -> datetime:
        """When the event was said."""
        return self._about.time

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._about.attempt

    @property
    def replaying(self) -> bool:
        """Whether this is a replay of a dead letter, or history that a new subscription reads (RULES 7.5)."""
        return self._about.replaying

    async def db(self) -> AsyncConnection:
        """The transaction's connection. The first call opens it; outside calls come before (RULES 3.3)."""
        self._opened = True
        return await self._unit.open()

    def table(self, table: Table, /) -> Table:
        """In a projection: the table of the generation at work. `HocketError` where it is none of its tables."""
        return _table_of(self._about.projected, table, 0)

    def former(self, table: Table, /) -> Table:
        """In `seed=`: the table of the generation that serves, with the columns of the given one (RULES 14.9)."""
        if not self._about.former:
            raise HocketError("former(…) is for the function that fills a new generation, seed= of a projection")
        return _table_of(self._about.projected, table, self._about.former)

    async def read(self) -> AsyncConnection:
        """A connection that reads committed data without the write lease, for use before an outside call."""
        return await self._unit.read()

    async def cancel(self, event: type[Event], key: str) -> bool:
        """Cancel the event that was `Scheduled` with this key; opens the transaction.

        Returns False when it was said already, or was never scheduled.
        """
        self._opened = True
        return await self._unit.cancel(schedule_name(name_of(event)[0], key))

    def outside(
        self, breaker: Breaker, name: str = "", *, within: timedelta | None = None
    ) -> AbstractAsyncContextManager[str]:
        """A context around one outside call: the breaker counts its failures, and the context yields the stable key.

        The call is cut `within` (else by the breaker's, else with the handler): a `TimeoutError`, and a failure. Where
        the breaker limits calls it waits up to a second for its turn. Raises `BreakerOpen` while the breaker is not
        closed and this call is no probe, `LimitReached` (a `BreakerOpen`) where its turn does not come,
        `OutsideTooLate` when the transaction is open, and `HocketError` when one attempt uses the same name twice
        (RULES 2.4). Another call that is cancelled is a failure only where the handler then ends with a `TimeoutError`;
        put a timeout that you catch yourself inside the context.
        """
        return self._outside(breaker, name, within)

    async def blocking(self, fn: Callable[..., T], *arguments: Any) -> T:
        """Call a function that blocks, in a thread: what it returns or raises.

        At most `HOCKET_BLOCKING_THREADS` run at once in a service. While the call waits for a thread, the handler's
        timeout does not run. A thread cannot be cancelled: when the timeout is over the attempt fails, and the function
        goes on and keeps its thread until it ends, perhaps beside the next attempt. Give it values, never the `Tx`.
        """
        return await self._blocking.call(self._limit, fn, *arguments)

    @asynccontextmanager
    async def _outside(self, breaker: Breaker, name: str, within: timedelta | None) -> AsyncIterator[str]:
        if self._about.quiet:
            raise OutsideInHistory(breaker.name)
        if self._about.projected is not None:
            raise HocketError(
                f"tx.outside({breaker.name}): a projection calls nobody, for it would call again with each rebuild; "
                "call in a handler, and say what came of it"
            )
        if self._opened:
            raise OutsideTooLate(
                f"tx.outside({breaker.name}) was entered while the transaction is open; enter it before the first "
                "await tx.db(), and read what the call needs through await tx.read()"
            )
        if name in self._called:
            raise HocketError(
                f"tx.outside was entered twice with the name {name!r} in one attempt; give the second call its own "
                f'name, tx.outside({breaker.name}, "…")'
            )
        self._called.add(name)
        async with self._guard.call(breaker, within):
            yield self.key(name) if name else self.idempotency_key


class View:
    """One snapshot of a projection: what serves, and nothing of later (RULES 14.6).

    `version` is that of the generation which is read, `lag` how long ago it had handled all that was said.
    """

    def __init__(self, db: AsyncConnection, projected: Projected, lag: timedelta) -> None:
        self.db = db
        self.version = projected.version
        self.lag = lag
        self._projected = projected

    def table(self, table: Table, /) -> Table:
        """The table of the generation that is read. `HocketError` where it is none of the projection's."""
        return _table_of(self._projected, table, 0)


def _table_of(projected: Projected | None, table: Table, n: int) -> Table:
    if projected is None:
        raise HocketError(
            f"table({table.name}) is for projections: this handler is none; use the table itself, or declare it by "
            "@service.projection"
        )
    if not is_own(table, projected.tables):
        raise HocketError(
            f"table({table.name}): the projection {projected.name} was declared with "
            f"{', '.join(each.name for each in projected.tables)}; add the table there"
        )
    return generation_table(table, n or projected.n)


class Outside(Tx[D_co]):
    """A transaction outside a handler, as in an HTTP route, a scheduled job or a script."""

    def __init__(
        self,
        about: AttemptInfo,
        use: D_co,
        unit: UnitOfWork,
        guard: BreakerGuard,
        *,
        seen: bool,
        check: Callable[[object], None],
        blocking: BlockingCalls,
        source: str,
        keys: SaidKeys,
    ) -> None:
        super().__init__(about, use, unit, guard, blocking)
        self._source = source
        self._keys = keys
        self._seen = seen
        self._check = check
        self._said: list[Event | Scheduled[Event]] = []
        self._reported: dict[str, object] = {}

    @property
    def seen(self) -> bool:
        """Whether this key was committed before; then `correlation_id` is that of the first time."""
        return self._seen

    def say(self, event: Event | Scheduled[Event], /) -> None:
        """Say an event when the transaction commits.

        Raises `Unsayable` at once for a value that is not an event, is undeclared or too large, or exceeds `MAX_SAID`.
        """
        self._check(event)
        if len(self._said) >= MAX_SAID:
            raise Unsayable(f"one transaction says at most {MAX_SAID} events; open another for the rest")
        self._said.append(event)
        self._keys.add(name_of(type(event.event if isinstance(event, Scheduled) else event))[0])

    @property
    def token(self) -> str:
        """What was said here so far, opaque, for `reading(after=…)`: give it to the client with the answer.

        It holds once the transaction is committed, and covers what it said, not what others say in answer. Where the
        key was `seen`, say the same again, which says nothing, and it is the token of the first time. Raises
        `HocketError` where more than 64 events were said.
        """
        return encode_token(Fact(self._source, each.type, each.key) for each in self._keys.named)

    @property
    def named(self) -> Sequence[SaidKey]:
        """The ids and keys of the events said so far."""
        return self._keys.named

    def say_many(self, events: Iterable[Event | Scheduled[Event]], /) -> None:
        """Say several events in this order when the transaction commits."""
        for event in events:
            self.say(event)

    def report(self, fact: Mapping[str, object], /) -> None:
        """Have one fact leave for the receipts stream with the commit: an observer's act (docs/wire.md#receipts).

        Service, instance, boot and time are added. A second call takes the place of the first.
        """
        self._reported = dict(fact)

    @property
    def reported(self) -> Mapping[str, object]:
        """The fact that was reported; empty where none was."""
        return self._reported

    @property
    def said(self) -> Sequence[Event | Scheduled[Event]]:
        """The events said so far."""
        return self._said

    def mask(self) -> Mask:
        """What hides the sensitive values of the events said so far."""
        return mask_of(*(each.event if isinstance(each, Scheduled) else each for each in self._said))

    def found_seen(self, correlation_id: str) -> None:
        """Record that the key was committed by another transaction meanwhile: this one has no effect."""
        self._seen = True
        self._said.clear()
        self._keys = self._keys.in_flow(correlation_id)
        self._about = self._about._replace(correlation_id=correlation_id)

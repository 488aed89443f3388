"""A service as its team declares it: which events it hears and says, and what undoes its steps. Starts nothing.

The decorators read signatures when the module is imported. Invalid declarations raise `DeclarationError` at import; the
message says how to fix them.
"""

import copy
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any, Generic, Self, Unpack, overload

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypeVar

from hocket.breaker import Breaker
from hocket.declarations.choreography import Declarations
from hocket.declarations.declare import Declarer, ScopeAsked
from hocket.declarations.names import check_service
from hocket.declarations.options import HandlerOptions, TimeoutOptions
from hocket.declarations.signature import check_event
from hocket.declarations.subscription import Late
from hocket.errors import DeclarationError, HocketError
from hocket.event import Death, Event, Heard, Scheduled
from hocket.resilience.isolation import running
from hocket.retry import Retry
from hocket.runtime import current
from hocket.tx import Outside, Tx

H = TypeVar("H", bound=Heard)
H2 = TypeVar("H2", bound=Heard)
E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
D = TypeVar("D", default=None)
S = TypeVar("S", bound=BaseModel)
Said = TypeVar(
    "Said",
    bound=Event
    | Scheduled[Event]
    | Sequence[Event | Scheduled[Event]]
    | tuple[Event | Scheduled[Event] | None, ...]
    | None,
)


class Service(Generic[D]):
    """One service: its name, its owner, and what its functions declare.

    `uses` is an async context manager that yields the service's clients and connections; a handler finds them in
    `tx.use`. `uses` is called with an instance of `settings` where `settings` is given. `tables` are the service's own
    tables, created at start. Raises `DeclarationError` for an invalid name or argument.
    """

    @overload
    def __init__(self: "Service[None]", name: str, *, owner: str, tables: MetaData | None = None) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        owner: str,
        uses: Callable[[], AbstractAsyncContextManager[D]],
        tables: MetaData | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        owner: str,
        settings: type[S],
        uses: Callable[[S], AbstractAsyncContextManager[D]],
        tables: MetaData | None = None,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        owner: str,
        settings: type[BaseModel] | None = None,
        uses: Callable[..., AbstractAsyncContextManager[Any]] | None = None,
        tables: MetaData | None = None,
    ) -> None:
        check_service(name, owner, settings, uses, tables)
        self.name = name
        self.owner = owner
        self.settings = settings
        self.uses = uses
        self.tables = tables
        self.declarations = Declarations(name, owner)
        self.mounts: list[Callable[[web.Application], None]] = []
        self._declarer = Declarer(self.declarations, Tx, uses is not None)

    @overload
    def handler(
        self, fn: Callable[[H, Tx[D]], Coroutine[Any, Any, Said]], /
    ) -> Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]: ...

    @overload
    def handler(
        self,
        /,
        **options: Unpack[HandlerOptions],
    ) -> Callable[
        [Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]], Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]
    ]: ...

    def handler(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Declare a handler: a subscription with its own queue, `SERVICE.NAME` (`name`, else the function's name).

        The first parameter names what is heard, the return annotation what is said. `retry` says how often and when a
        failed attempt is repeated. While `breaker` is open, no delivery is taken. `timeout` bounds one attempt.
        `concurrency` bounds the attempts that run at once, `prefetch` the unsettled deliveries that the broker sends.
        `idempotent=True` saves the inbox row of a handler that says nothing. `ordered=True` handles the events of one
        subject one after the other, in their order, across replicas and failures; a dead one blocks its subject, with
        `"skip"` its successors go on (docs/order.md). `latest_by` names a field that grows: an event with less than a
        handled one of its subject ends `stale` (RULES 15.1). `after` names a handler above that goes first for each
        subject; this one waits at most `within`, and then runs all the same (RULES 15.4). `formerly` gives the former
        name, or several names, the oldest first: the old queue is emptied and the keys stay the same (RULES 2.4).
        `allow` names findings of `hocket check` that are right here, each with its reason, as everywhere
        (docs/checks.md).
        """

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            self._declarer.handler(fn, options)
            return fn

        return declare if fn is None else declare(fn)

    @overload
    def undo(
        self,
        step: Callable[[H, Tx[D]], Coroutine[Any, Any, list[Any]]],
        did: type[E],
        /,
        *,
        by: str | tuple[str, ...] = ...,
        across: bool = ...,
        remember: timedelta = ...,
        retry: Retry = ...,
        breaker: Breaker = ...,
        allow: Mapping[str, str] = ...,
    ) -> Callable[
        [Callable[[H, list[E], H2, Tx[D]], Coroutine[Any, Any, Said]]],
        Callable[[H, list[E], H2, Tx[D]], Coroutine[Any, Any, Said]],
    ]: ...

    @overload
    def undo(
        self,
        step: Callable[[H, Tx[D]], Coroutine[Any, Any, Any]],
        did: type[E],
        /,
        *,
        by: str | tuple[str, ...] = ...,
        across: bool = ...,
        remember: timedelta = ...,
        retry: Retry = ...,
        breaker: Breaker = ...,
        allow: Mapping[str, str] = ...,
    ) -> Callable[
        [Callable[[H, E | None, H2, Tx[D]], Coroutine[Any, Any, Said]]],
        Callable[[H, E | None, H2, Tx[D]], Coroutine[Any, Any, Said]],
    ]: ...

    def undo(
        self,
        step: Callable[..., Any],
        did: type[Event],
        /,
        by: str | tuple[str, ...] = (),
        across: bool = False,
        remember: timedelta | None = None,
        **options: Any,
    ) -> Any:
        """Declare the undo of `step`: a subscription of its own to the failures of the step's flow.

        The undo gets the step's input, the `did` that the step said, and the failure. `did` is None, or an empty list,
        when nobody knows whether the step took effect. `by` names fields of input, result and failures that make the
        scope; without it the subject is the scope. With `across` a failure of that scope said in any flow reaches the
        step; it needs `by`, which then names what happens once (RULES 5.1). Runs that may have taken effect are kept
        for at least `remember`, as long as somebody may still cancel (RULES 5.4).
        """

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            self._declarer.undo(fn, step, did, ScopeAsked(by, across, remember), options)
            return fn

        return declare

    def overdue(
        self,
        within: timedelta,
        /,
        *,
        unless: type[Heard] | tuple[type[Heard], ...],
        by: str | tuple[str, ...] = (),
        across: bool = False,
        late: Late = "undone",
        **options: Unpack[TimeoutOptions],
    ) -> Callable[[Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]], Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]]:
        """Declare a time-out: run the handler once when none of `unless` came `within` the time (RULES 5.7).

        The first parameter names what arms it. The time counts from the arming here, and a further arming begins it
        anew. There is one for each flow and scope, `across=True`: for each scope. The scope is made by the fields `by`,
        which all these events have; without it the subject is the scope. An answer that comes later than the decision
        is `late` in its receipt, and is undone by what the handler says, or accepted. Further options are those of a
        handler: name, formerly, retry, breaker, timeout, concurrency, prefetch, allow.
        """
        given = {"unless": unless, "by": by, "across": across, "late": late, **options}

        def declare(
            fn: Callable[[H, Tx[D]], Coroutine[Any, Any, Said]],
        ) -> Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]:
            self._declarer.overdue(fn, within, given)
            return fn

        return declare

    def on_dead(
        self, step: Callable[[H, Tx[D]], Coroutine[Any, Any, Any]], /, *, allow: Mapping[str, str] | None = None
    ) -> Callable[[Callable[[H, Death], E]], Callable[[H, Death], E]]:
        """Declare what is said when a delivery of `step` is given up, in the same transaction (RULES 5.5)."""

        def declare(fn: Callable[[H, Death], E]) -> Callable[[H, Death], E]:
            self._declarer.on_dead(fn, step, {} if allow is None else allow)
            return fn

        return declare

    def upcast(self, fn: Callable[[H], H2], /) -> Callable[[H], H2]:
        """Declare how an old version of a heard event is read as a newer one. Upcasts join into a chain.

        Subscriptions that hear the newer model receive the old version too (RULES 10.1).
        """
        self._declarer.upcast(fn)
        return fn

    def also_says(self, fn: Callable[[E], E2], /) -> Callable[[E], E2]:
        """Declare how an older version of an event is made; it is said whenever the newer one is.

        Both versions have the same idempotency key: a subscription that hears both handles one of them (RULES 10.1).
        """
        self._declarer.downcast(fn)
        return fn

    def says(self, *events: type[Event]) -> None:
        """Declare events that are said outside handlers, in `service.tx()`."""
        for event in events:
            check_event(event, f"{self.name}.says")
        self.declarations.add_says(*events)

    def says_breakers(self) -> type[Event]:
        """Declare that each change of a breaker is said once, as the event `SERVICE.breaker_changed` (RULES 6.7).

        Its subject is `breaker/SERVICE/NAME`, its data service, name, was, state, until, reason and by. Returns its
        class.
        """
        return self.declarations.add_breaker_event()

    def tx(
        self, *, key: str | None = None, correlation_id: str | None = None, connection: AsyncConnection | None = None
    ) -> AbstractAsyncContextManager[Outside[D]]:
        """A transaction outside a handler, in a process that runs this service (RULES 2.3).

        If the `key` was committed before, `seen` is true and `correlation_id` is that of the first time. With a
        `connection`, it joins the transaction that the application has open there, on the same database: events are
        said when the application commits. Raises `HocketError` where the service does not run and inside a handler,
        `OutboxFull` when too many events wait for the broker, and at the end of a joined part `KeyTaken`
        (`hocket.errors`) where another transaction used the key meanwhile: it must leave the application's
        transaction, so that this is rolled back.
        """
        if (inside := running()) is not None:
            raise HocketError(
                f"{self.name}.tx() was called inside {inside.name}: what it says would be said although the handler "
                "fails, and again by the next attempt; return the event, and write through the handler's own tx"
            )
        return current(self.name).outside(key, correlation_id, connection)

    def using(self, uses: D, /) -> Self:
        """The same service with these `uses` in place of its own: for tests."""

        def given() -> AbstractAsyncContextManager[D]:
            return nullcontext(uses)

        same = copy.copy(self)
        same.settings = None
        same.uses = given
        return same

    def http(self, mount: Callable[[web.Application], None], /) -> Callable[[web.Application], None]:
        """Declare a function that adds routes to the service's HTTP application when it starts."""
        if not inspect.isroutine(mount) or inspect.iscoroutinefunction(mount):
            raise DeclarationError(f"{self.name}: http takes a plain function, def mount(app: web.Application) -> None")
        self.mounts.append(mount)
        return mount

    def complete(self) -> None:
        """Check the declarations as a whole, before the service starts. Raises `DeclarationError`."""
        self.declarations.complete()

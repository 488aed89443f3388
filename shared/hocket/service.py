# long: the face of a service, each signature with its promise beside it
"""A service as its team declares it: which events it hears and says, and what undoes its steps. Starts nothing.

The decorators read signatures when the module is imported. Invalid declarations raise `DeclarationError` at import; the
message says how to fix them.
"""

import copy
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any, Generic, Self, Unpack, overload

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypeVar

from hocket.breaker import Breaker
from hocket.declarations.choreography import Declarations
from hocket.declarations.declare import Declarer, ScopeAsked
from hocket.declarations.names import check_service, refuse_bare
from hocket.declarations.options import HandlerOptions, ProjectionOptions, TimeoutOptions
from hocket.declarations.requests.command import command_of, named_as
from hocket.declarations.signature import check_event
from hocket.declarations.subscription import Late
from hocket.errors import DeclarationError, HocketError
from hocket.event import Death, Event, Heard, Scheduled
from hocket.resilience.isolation import running
from hocket.retry import Retry
from hocket.runtime import current
from hocket.tx import Outside, Tx, View
from hocket.webhooks.declared import RATE, Drift, Webhook, webhook_of
from hocket.webhooks.signature import Push, Signature

#: How long `reading(after=…)` waits at most where nobody says otherwise.
READING_WITHIN = timedelta(seconds=2)

H = TypeVar("H", bound=Heard)
H2 = TypeVar("H2", bound=Heard)
E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
B = TypeVar("B")
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
    `tx.use`. `uses` is called with an instance of `settings` where `settings` is given; webhooks find their secrets in
    the same settings. `tables` are the service's own tables, created at start. Raises `DeclarationError` for an
    invalid name or argument.
    """

    @overload
    def __init__(
        self: "Service[None]",
        name: str,
        *,
        owner: str,
        settings: type[BaseModel] | None = None,
        tables: MetaData | None = None,
    ) -> None: ...

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
        self.webhooks: dict[str, Webhook] = {}
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
        `"skip"` its successors go on (docs/order.md). A handler that is new hears history `since` a moment, or "first";
        with `side_effects=True` it says and calls outside also meanwhile (RULES 7.5). `formerly` gives the former name,
        or several names, the oldest first: the old queue is emptied and the keys stay the same (RULES 2.4). `latest_by`
        names a field that grows: an event with less than a handled one of its subject ends `stale` (RULES 15.1).
        `after` names a handler above that goes first for each subject; this one waits at most `within`, and then runs
        all the same (RULES 15.4). `drift` says what becomes of data that differs from the model: "accept", "warn" or
        "quarantine" (docs/drift.md). `allow` names findings of `hocket check` that are right here, each with its
        reason, as everywhere (docs/checks.md).
        """

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            self._declarer.handler(fn, options)
            return fn

        return declare if fn is None else declare(fn)

    def projection(
        self, *tables: Table, **options: Unpack[ProjectionOptions]
    ) -> Callable[[Callable[[H, Tx[D]], Coroutine[Any, Any, None]]], Callable[[H, Tx[D]], Coroutine[Any, Any, None]]]:
        """Declare a projection: a handler that fills `tables`, which are read through `reading` (docs/projections.md).

        It writes to `tx.table(rows)`. A higher `version` is built beside what serves, from the log, and swapped in when
        it has handled all that the one before has. `seed` fills the new tables where the log no longer holds what the
        old ones had heard. It is `ordered` unless that is False: what fails holds its subject, with "skip" until it is
        dead. `name`, `retry` and `latest_by` are those of a handler. A projection says nothing.
        """

        for each in tables:
            refuse_bare(each, f"{self.name}.projection", "rows, version=1")

        def declare(
            fn: Callable[[H, Tx[D]], Coroutine[Any, Any, None]],
        ) -> Callable[[H, Tx[D]], Coroutine[Any, Any, None]]:
            self._declarer.projection(fn, tables, options)
            return fn

        return declare

    def reading(
        self,
        projection: Callable[..., Awaitable[Any]],
        /,
        *,
        after: str | None = None,
        within: timedelta = READING_WITHIN,
    ) -> AbstractAsyncContextManager[View]:
        """One snapshot of what serves now of a projection; `after` a token waits until it holds what that token said.

        Raises `NotYetRead` where that is not so `within` the time, and where nothing serves this process's version: an
        HTTP route then answers 503 with `Retry-After`. `HocketError` where the service does not run here.
        """
        declared = self.declarations.projection_of(projection)
        if declared is None:
            raise HocketError(
                f"{self.name}.reading({getattr(projection, '__qualname__', projection)}): this is no projection of "
                "the service; give the function that stands below @service.projection"
            )
        return current(self.name).reading(declared, after, within)

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

    def webhook(
        self,
        signed: Signature,
        /,
        *,
        name: str | None = None,
        key: Callable[[Push], str] | None = None,
        rate: float = RATE,
        drift: Drift = "warn",
    ) -> Callable[[Callable[[B, Push], Said]], Callable[[B, Push], Said]]:
        """Declare a webhook above `def NAME(body: Body, push: Push) -> A | None`: `POST /webhooks/NAME` (RULES 12).

        What is signed is committed with the event that the plain function makes of it, and then answered 202; the same
        delivery id says nothing again. What cannot be read or mapped is kept, to be retried by `hocket webhooks`.
        `key` gives another delivery id, `rate` bounds the pushes a second. `drift="quarantine"` keeps bodies that
        differ from the model in other ways than further fields (RULES 16). The function uses no clock and no database.
        """
        refuse_bare(signed, f"{self.name}.webhook", 'Stripe(secrets="stripe_secrets")')
        given: dict[str, Any] = {"rate": rate, "drift": drift, **({"name": name} if name is not None else {})}
        given |= {"key": key} if key is not None else {}

        def declare(fn: Callable[[B, Push], Said]) -> Callable[[B, Push], Said]:
            made = webhook_of(self.name, self.settings, fn, signed, given)
            if made.name in self.webhooks:
                raise DeclarationError(f'{made.where}: another webhook has this name; give one another by name="…"')
            self.declarations.add_says(*dict.fromkeys((*made.says, *made.scheduled)))
            self.webhooks[made.name] = made
            return fn

        return declare

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

    def command(
        self, *, caller: Callable[[web.Request], str] | None = None, required: bool = True
    ) -> Callable[
        [Callable[[web.Request, Outside[D]], Coroutine[Any, Any, web.Response]]],
        Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]],
    ]:
        """Declare a command, `async def place(request, tx)`: the same `Idempotency-Key`, the same answer (RULES 13).

        Mount the result as any aiohttp handler, under POST, PUT, PATCH or DELETE. Effects, what is said and the answer
        are committed together; what the handler raises is rolled back, and the key is free again. `caller` names who
        asks (else a hash of `Authorization`): keys of two callers never meet. Unless `required`, a request without a
        key is a thing of its own. Answers of at most 64 KiB are kept as long as the inbox remembers.
        """

        def declare(
            fn: Callable[[web.Request, Outside[D]], Coroutine[Any, Any, web.Response]],
        ) -> Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]:
            command = command_of(self.name, fn, caller, required)

            async def answer(request: web.Request) -> web.StreamResponse:
                return await current(self.name).command(command, request)

            return named_as(fn, answer)

        return declare

    def complete(self) -> None:
        """Check the declarations as a whole, before the service starts. Raises `DeclarationError`."""
        if self.settings is not None and self.uses is None and not self.webhooks:
            raise DeclarationError(
                f"Service({self.name!r}): nothing reads its settings=; give uses=, which they are passed to, or leave "
                "them out"
            )
        self.declarations.complete()

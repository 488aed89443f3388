"""What a service is, by declaration: whom it hears, what it says, what undoes its steps. Starts nothing.

Everything is read from signatures when the module is imported; what cannot be meant raises `DeclarationError` there,
with the sentence that mends it.
"""

import copy
import inspect
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any, Generic, Self, get_args, get_origin, overload

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypeVar

from hocket.breaker import Breaker
from hocket.declarations.annotations import heard_of, one_of
from hocket.declarations.choreography import Declarations
from hocket.declarations.names import check_handler, check_service
from hocket.declarations.signature import (
    Signature,
    check_death,
    check_did,
    check_event,
    check_input,
    check_step_says,
    fields_of,
    signature_of,
    subscription_of,
)
from hocket.declarations.subscription import Subscription, Undo
from hocket.declarations.versions import Downcast, Upcast
from hocket.errors import DeclarationError
from hocket.event import Death, Event, Heard, Scheduled
from hocket.retry import Retry
from hocket.runtime import current
from hocket.tx import Outside, Tx

_HANDLER_FORM = "async def NAME(event: A | B, tx: Tx) -> C | None"
_UNDO_FORM = "async def NAME(event: A, did: B | None, why: C | D, tx: Tx) -> E | None"
_ON_DEAD_FORM = "def NAME(event: A, death: Death) -> B"
_UPCAST_FORM = "def NAME(old: A) -> B"

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
    """One service: a name, an owner, and what its handlers declare.

    `uses` makes what it needs outside (an async context manager; `tx.use` in a handler), given `settings` where there
    are some; `tables` are its own, made at start. Raises `DeclarationError` for a name that cannot be a service's.
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
        self._declared: dict[Callable[..., Any], Subscription] = {}

    @overload
    def handler(
        self, fn: Callable[[H, Tx[D]], Coroutine[Any, Any, Said]], /
    ) -> Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]: ...

    @overload
    def handler(
        self,
        /,
        *,
        name: str = ...,
        formerly: str | tuple[str, ...] = ...,
        retry: Retry = ...,
        breaker: Breaker = ...,
        timeout: timedelta = ...,
        idempotent: bool = ...,
        concurrency: int = ...,
        prefetch: int = ...,
    ) -> Callable[
        [Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]], Callable[[H, Tx[D]], Coroutine[Any, Any, Said]]
    ]: ...

    def handler(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Declare a handler: a subscription with a queue of its own, `SERVICE.NAME` (the function's, unless named).

        The first parameter says what is heard, the return annotation what is said. `breaker` pauses its intake,
        `timeout` bounds one attempt, `idempotent=True` spares the inbox row of a handler that says nothing,
        `concurrency` how many attempts are at work at once, `prefetch` how many deliveries come ahead of them.
        `formerly` is the name it had (of several the oldest first): its queue is emptied, its keys stay (RULES 2.4).
        """

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            name, where = self._named(fn, options)
            signature = signature_of(fn, where, _HANDLER_FORM)
            self._check_tx(signature, where)
            heard = heard_of(signature.parameters[0], where)
            made = subscription_of(self.name, name, fn, heard, signature, options)
            self.declarations.add(made)
            self._declared[fn] = made
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
        retry: Retry = ...,
        breaker: Breaker = ...,
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
        retry: Retry = ...,
        breaker: Breaker = ...,
    ) -> Callable[
        [Callable[[H, E | None, H2, Tx[D]], Coroutine[Any, Any, Said]]],
        Callable[[H, E | None, H2, Tx[D]], Coroutine[Any, Any, Said]],
    ]: ...

    def undo(
        self, step: Callable[..., Any], did: type[Event], /, by: str | tuple[str, ...] = (), **options: Any
    ) -> Any:
        """Declare what undoes `step` when its flow fails: a subscription of its own, bound to the failures.

        It gets the step's input, the `did` it said (None, or an empty list: it may or may not have happened) and the
        failure. `by` names fields of input and failures that make the scope; without it the subject does (RULES 5.1).
        """

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            name, where = self._named(fn, options)
            of = self._step(step, where)
            signature = signature_of(fn, where, _UNDO_FORM)
            self._check_tx(signature, where)
            check_input(signature, of, where)
            many = check_step_says(step, of, did, where)
            check_did(signature.parameters[1], did, many, where)
            made = subscription_of(self.name, name, fn, of.heard, signature, options)
            why = heard_of(signature.parameters[2], where)
            made.undo = Undo(of.queue, did, many, fields_of(by, where), why)
            self.declarations.add(made)
            self._declared[fn] = made
            return fn

        return declare

    def on_dead(
        self, step: Callable[[H, Tx[D]], Coroutine[Any, Any, Any]], /
    ) -> Callable[[Callable[[H, Death], E]], Callable[[H, Death], E]]:
        """Declare what is said when a delivery of `step` is given up, in the transaction that buries it (RULES 5.5)."""

        def declare(fn: Callable[[H, Death], E]) -> Callable[[H, Death], E]:
            where = f"{self.name}.{getattr(fn, '__name__', fn)}"
            of = self._step(step, where)
            signature = signature_of(fn, where, _ON_DEAD_FORM, plain=True)
            check_input(signature, of, where)
            says = check_death(signature, where)
            self.declarations.add_on_dead(of, fn, says, where)
            return fn

        return declare

    def upcast(self, fn: Callable[[H], H2], /) -> Callable[[H], H2]:
        """Declare how an old version is read: into a newer model of the same type; upcasts join into a chain.

        Subscriptions that hear the newer model are bound to the old version too (RULES 10.1).
        """
        where = f"{self.name}.{getattr(fn, '__name__', fn)}"
        signature = signature_of(fn, where, _UPCAST_FORM, plain=True)
        old = one_of(signature.parameters[0], Heard, where, _UPCAST_FORM)
        self.declarations.add_upcast(old, Upcast(one_of(signature.returns, Heard, where, _UPCAST_FORM), fn), where)
        return fn

    def also_says(self, fn: Callable[[E], E2], /) -> Callable[[E], E2]:
        """Declare how an older version is said beside the new one, whenever that is said.

        Both are one fact under one idempotency key: who hears both handles one of them (RULES 10.1).
        """
        where = f"{self.name}.{getattr(fn, '__name__', fn)}"
        signature = signature_of(fn, where, _UPCAST_FORM, plain=True)
        new = one_of(signature.parameters[0], Event, where, _UPCAST_FORM)
        self.declarations.add_rendering(new, Downcast(one_of(signature.returns, Event, where, _UPCAST_FORM), fn), where)
        return fn

    def says(self, *events: type[Event]) -> None:
        """Declare events that are said outside handlers, by `service.tx()`."""
        for event in events:
            check_event(event, f"{self.name}.says")
        self.declarations.add_says(*events)

    def tx(
        self, *, key: str | None = None, correlation_id: str | None = None, connection: AsyncConnection | None = None
    ) -> AbstractAsyncContextManager[Outside[D]]:
        """A transaction outside a handler, of the service as it runs in this context (RULES 2.3).

        With a `key` that was here before, `seen` is true and `correlation_id` the first one's. With a `connection` it
        joins the transaction that an application has open there, on the same database: what is said is said when the
        application commits. `HocketError` where the service does not run here, `OutboxFull` where too much waits.
        """
        return current(self.name).outside(key, correlation_id, connection)

    def using(self, uses: D, /) -> Self:
        """The same service, with this in place of what `uses` makes: for tests."""

        def given() -> AbstractAsyncContextManager[D]:
            return nullcontext(uses)

        same = copy.copy(self)
        same.settings = None
        same.uses = given
        return same

    def http(self, mount: Callable[[web.Application], None], /) -> Callable[[web.Application], None]:
        """Declare a function that mounts routes on the service's port when it starts."""
        if not inspect.isroutine(mount) or inspect.iscoroutinefunction(mount):
            raise DeclarationError(f"{self.name}: http takes a plain function, def mount(app: web.Application) -> None")
        self.mounts.append(mount)
        return mount

    def complete(self) -> None:
        """Check what only the whole can show; whoever starts the service calls it. `DeclarationError`."""
        self.declarations.complete()

    def _named(self, fn: Callable[..., Any], options: dict[str, object]) -> tuple[str, str]:
        """The subscription's name and its queue's; refuses names that cannot be a queue's."""
        name = options.get("name", getattr(fn, "__name__", ""))
        where = f"{self.name}.{name}"
        check_handler(name, where, self.declarations.subscriptions)
        assert isinstance(name, str)
        return name, where

    def _step(self, step: Callable[..., Any], where: str) -> Subscription:
        found = self._declared.get(step)
        if found is None:
            raise DeclarationError(
                f"{where}: {getattr(step, '__qualname__', step)} is no handler of service {self.name}; name a handler "
                "of this service, declared above"
            )
        if found.undo is not None:
            raise DeclarationError(f"{where}: {found.queue} is an undo itself; name the step, {found.undo.step}")
        if found.idempotent:
            raise DeclarationError(
                f"{where}: {found.queue} is idempotent=True and leaves no trace to build on; take that away there "
                "(RULES 2.6)"
            )
        return found

    def _check_tx(self, signature: Signature, where: str) -> None:
        annotation = signature.parameters[-1]
        if annotation is not Tx and get_origin(annotation) is not Tx:
            raise DeclarationError(f"{where}: its last parameter is the transaction; write tx: Tx")
        if annotation is Tx and self.uses is not None:
            raise DeclarationError(
                f"{where}: service {self.name} uses things outside; write tx: Tx[Uses] with the type that uses yields"
            )
        if self.uses is None and any(each not in {None, type(None), Any} for each in get_args(annotation)):
            raise DeclarationError(f"{where}: service {self.name} has no uses=; write tx: Tx, or give the service some")

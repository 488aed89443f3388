"""The work of a service's decorators: each reads a signature, checks it, and adds it to the declarations.

Every method raises `DeclarationError` for an invalid declaration; the message names the function and says how to fix
it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args, get_origin

from hocket.declarations.allowances import OF_HANDLER, OF_ON_DEAD, OF_OVERDUE, OF_UNDO, allowances
from hocket.declarations.annotations import heard_of, one_of
from hocket.declarations.choreography import Declarations
from hocket.declarations.names import check_handler
from hocket.declarations.ordering.option import refuse_option, refuse_step
from hocket.declarations.overdue import overdue_of
from hocket.declarations.projections.projection import (
    BATCH_EVENTS,
    check_options,
    check_projection,
    function_name,
    projected_of,
)
from hocket.declarations.scope import check_across, check_remember
from hocket.declarations.signature import (
    Signature,
    check_death,
    check_did,
    check_input,
    check_step_says,
    fields_of,
    signature_of,
    subscription_of,
)
from hocket.declarations.subjects.staleness import check_absent, check_no_latest, set_guards
from hocket.declarations.subscription import Subscription, Undo
from hocket.declarations.versions import Downcast, Upcast
from hocket.errors import DeclarationError
from hocket.event import Event, Heard

_HANDLER_FORM = "async def NAME(event: A | B, tx: Tx) -> C | None"
_PROJECTION_FORM = "async def NAME(event: A | B, tx: Tx) -> None"
_UNDO_FORM = "async def NAME(event: A, did: B | None, why: C | D, tx: Tx) -> E | None"
_ON_DEAD_FORM = "def NAME(event: A, death: Death) -> B"
_UPCAST_FORM = "def NAME(old: A) -> B"


class ScopeAsked(NamedTuple):
    """What an undo says of its scope, as it was given: `by=`, `across=` and `remember=`."""

    by: object = ()
    across: object = False
    remember: object = None


@dataclass(frozen=True, slots=True)
class Declarer:
    """Adds functions to the declarations of one service.

    `transaction` is the class that a handler's last parameter names; it is passed in, because it is defined on a higher
    floor. `has_uses`: the service has `uses=`, so that parameter must name the type that it yields.
    """

    declarations: Declarations
    transaction: type
    has_uses: bool

    def handler(self, fn: Callable[..., Any], options: Mapping[str, Any]) -> None:
        """Add a handler: a subscription to what its first parameter names."""
        name, where = self._name(fn, options)
        signature = signature_of(fn, where, _HANDLER_FORM)
        self._check_transaction(signature, where)
        heard = heard_of(signature.parameters[0], where)
        made = subscription_of(self.declarations.service, name, fn, heard, signature, options)
        made.allow = allowances(options.get("allow", {}), OF_HANDLER, where)
        set_guards(made, options, self.declarations.subscription_of, where)
        self.declarations.add(made)

    def projection(self, fn: Callable[..., Any], tables: tuple[object, ...], options: Mapping[str, Any]) -> None:
        """Add one version of a projection, of which generations are made at run time (RULES 14.1)."""
        name, where = self._name(fn, options)
        signature = signature_of(fn, where, _PROJECTION_FORM)
        self._check_transaction(signature, where)
        heard = heard_of(signature.parameters[0], where)
        check_options(options, where)
        others = {"ordered": True, **options}
        projected = projected_of(tables, others, name, where)
        others |= {"concurrency": BATCH_EVENTS, "since": "first"}
        made = subscription_of(self.declarations.service, name, fn, heard, signature, others)
        made.projected = projected
        set_guards(made, options, self.declarations.subscription_of, where)
        check_projection(made, where)
        self.declarations.add_projection(made, where)

    def overdue(self, fn: Callable[..., Any], within: object, options: Mapping[str, Any]) -> None:
        """Add a time-out: a subscription to what its first parameter names, which arms it, and to what answers."""
        name, where = self._name(fn, options)
        check_absent(options, "a time-out", where)
        signature = signature_of(fn, where, _HANDLER_FORM)
        self._check_transaction(signature, where)
        heard = heard_of(signature.parameters[0], where)
        refuse_option(options, "a time-out", where)
        others = dict(options)
        overdue = overdue_of(within, others, heard, where)
        made = subscription_of(self.declarations.service, name, fn, heard, signature, others)
        if made.drift == "quarantine":
            raise DeclarationError(
                f'{where}: drift="quarantine" would keep an answer from its time-out; give "warn" or "accept"'
            )
        made.overdue = overdue
        made.allow = allowances(options.get("allow", {}), OF_OVERDUE, where)
        self.declarations.add(made)

    def undo(
        self,
        fn: Callable[..., Any],
        step: Callable[..., Any],
        did: type[Event],
        scope: ScopeAsked,
        options: Mapping[str, Any],
    ) -> None:
        """Add the undo of `step`: a subscription to the failures that its third parameter names."""
        name, where = self._name(fn, options)
        of = self._step(step, where)
        check_absent(options, "an undo", where)
        check_no_latest(of, where)
        if of.overdue is not None:
            raise DeclarationError(
                f"{where}: {of.queue} is a time-out, which no undo undoes; let it say an event, and let a step that "
                "hears this event do what can be undone"
            )
        refuse_step(of.ordered, of.queue, where)
        refuse_option(options, "an undo", where)
        signature = signature_of(fn, where, _UNDO_FORM)
        self._check_transaction(signature, where)
        check_input(signature, of, where)
        many = check_step_says(step, of, did, where)
        check_did(signature.parameters[1], did, many, where)
        subscription = subscription_of(self.declarations.service, name, fn, of.heard, signature, options)
        if subscription.drift == "quarantine":
            raise DeclarationError(
                f'{where}: drift="quarantine" would keep a failure from being undone; give "warn" or "accept"'
            )
        why = heard_of(signature.parameters[2], where)
        by = fields_of(scope.by, where)
        across, remember = check_across(scope.across, by, where), check_remember(scope.remember, where)
        subscription.undo = Undo(of.queue, did, many, by, why, across=across, remember=remember)
        subscription.allow = allowances(options.get("allow", {}), OF_UNDO, where)
        self.declarations.add(subscription)

    def on_dead(self, fn: Callable[..., Any], step: Callable[..., Any], allow: object) -> None:
        """Add the function that makes the event to say when a delivery of `step` is given up."""
        where = self._where(fn)
        of = self._step(step, where)
        signature = signature_of(fn, where, _ON_DEAD_FORM, plain=True)
        check_input(signature, of, where)
        says, allowed = check_death(signature, where), allowances(allow, OF_ON_DEAD, where)
        self.declarations.add_on_dead(of, fn, says, where)
        of.on_dead_allow = allowed

    def upcast(self, fn: Callable[..., Any]) -> None:
        """Add the function that reads an old version of a heard event into a newer one."""
        old, new, where = self._versions(fn, Heard)
        self.declarations.add_upcast(old, Upcast(new, fn), where)

    def downcast(self, fn: Callable[..., Any]) -> None:
        """Add the function that makes an old version of an event that this service says."""
        new, old, where = self._versions(fn, Event)
        self.declarations.add_downcast(new, Downcast(old, fn), where)

    def _versions(self, fn: Callable[..., Any], base: type[Heard]) -> tuple[type[Any], type[Any], str]:
        """What a function from one version to another takes and returns."""
        where = self._where(fn)
        signature = signature_of(fn, where, _UPCAST_FORM, plain=True)
        taken = one_of(signature.parameters[0], base, where, _UPCAST_FORM)
        return taken, one_of(signature.returns, base, where, _UPCAST_FORM), where

    def _where(self, fn: Callable[..., Any]) -> str:
        return f"{self.declarations.service}.{getattr(fn, '__name__', fn)}"

    def _name(self, fn: Callable[..., Any], options: Mapping[str, Any]) -> tuple[str, str]:
        """The subscription's name and its queue's name."""
        name = options.get("name", getattr(fn, "__name__", ""))
        where = f"{self.declarations.service}.{name}"
        taken = {*self.declarations.subscriptions}
        if "version" not in options:
            taken |= {each.identity for each in self.declarations.projections.values()}
        check_handler(name, where, taken)
        return str(name), where

    def _step(self, step: Callable[..., Any], where: str) -> Subscription:
        """The subscription that an undo or an `on_dead` belongs to."""
        service = self.declarations.service
        found = self.declarations.subscription_of(step)
        if found is None and self.declarations.projection_of(step) is not None:
            raise DeclarationError(
                f"{where}: {function_name(step)} is a projection, which has no undo and says nothing; name a handler"
            )
        if found is None:
            raise DeclarationError(
                f"{where}: {getattr(step, '__qualname__', step)} is not a handler of service {service}; name a handler "
                "of this service, declared above"
            )
        if found.undo is not None:
            raise DeclarationError(f"{where}: {found.queue} is an undo itself; name the step, {found.undo.step}")
        if found.idempotent:
            raise DeclarationError(
                f"{where}: {found.queue} is idempotent=True and keeps no row that this could build on; remove "
                "idempotent=True there (RULES 2.6)"
            )
        return found

    def _check_transaction(self, signature: Signature, where: str) -> None:
        """The last parameter is the transaction, and names what `uses` yields where the service has one."""
        service = self.declarations.service
        annotation = signature.parameters[-1]
        if annotation is not self.transaction and get_origin(annotation) is not self.transaction:
            raise DeclarationError(f"{where}: the last parameter must be the transaction; write tx: Tx")
        if annotation is self.transaction and self.has_uses:
            raise DeclarationError(
                f"{where}: service {service} has uses=; write tx: Tx[Uses] with the type that uses yields"
            )
        if not self.has_uses and any(each not in {None, type(None), Any} for each in get_args(annotation)):
            raise DeclarationError(
                f"{where}: service {service} has no uses=; write tx: Tx, or add uses= to the service"
            )

"""All declarations of one service as data: what it hears, says and undoes, its topology and its manifest. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hocket.broker.topology import Topology, history_of, of_service, routing_key
from hocket.declarations.breaker_changed import breaker_changed
from hocket.declarations.history.since import check_history, check_last_word
from hocket.declarations.overdue import described
from hocket.declarations.projections.projection import check_own_tables
from hocket.declarations.scope import check_scope, is_sensitive
from hocket.declarations.subjects.staleness import check_not_sensitive
from hocket.declarations.subjects.staleness import described as guards
from hocket.declarations.subscription import EventName, Subscription, Undo, name_of
from hocket.declarations.versions import (
    Downcast,
    Upcast,
    check_newer,
    check_one_path,
    older_of,
    older_types,
    upcast_paths,
)
from hocket.errors import DeclarationError
from hocket.event import Event, Heard


@dataclass(slots=True)
class Declarations:
    """Everything one service declares."""

    service: str
    owner: str
    subscriptions: dict[str, Subscription] = field(default_factory=dict)  # by queue
    #: What generations are made of, by name and version; those that live are made at run time (RULES 14.1).
    projections: dict[tuple[str, int], Subscription] = field(default_factory=dict)
    says: dict[EventName, type[Event]] = field(default_factory=dict)  # in handlers and outside them
    outside: list[type[Event]] = field(default_factory=list)  # of these, what `Service.says` named
    breaker_event: type[Event] | None = None  # said at each change of a breaker
    upcasts: dict[type[Heard], Upcast] = field(default_factory=dict)  # by the version they take
    downcasts: dict[type[Event], list[Downcast]] = field(default_factory=dict)  # by the version they take

    @property
    def former_queues(self) -> tuple[str, ...]:
        """The queues of all former names. They are not declared; an older release may still consume them."""
        return tuple(name for each in self.subscriptions.values() for name in each.former_queues)

    @property
    def queues(self) -> set[str]:
        """The queues of its subscriptions, and those of former names."""
        return {*self.subscriptions, *self.former_queues}

    @property
    def projection_names(self) -> set[str]:
        """The names of its projections, whatever their versions."""
        return {name for name, _ in self.projections}

    def subscription_of(self, fn: Callable[..., object]) -> Subscription | None:
        """The subscription that was declared last with this function as its handler; None: there is none."""
        return next((each for each in reversed(self.subscriptions.values()) if each.call is fn), None)

    def projection_of(self, fn: Callable[..., object]) -> Subscription | None:
        """The projection that was declared with this function; None: there is none."""
        return next((each for each in self.projections.values() if each.call is fn), None)

    def topology(self) -> Topology:
        """The service's queues and bindings on the broker, without the kit's own objects."""
        every = self.subscriptions.values()
        ordered = frozenset(each.queue for each in every if each.ordered)
        return of_service(
            self.service,
            [(each.queue, [routing_key(*name) for name in each.bound]) for each in every],
            [(each.queue, former) for each in every for former in each.former_queues],
            ordered,
        ) + history_of(self.service, [each.queue for each in every if each.since is not None], ordered)

    def manifest(self, generations: Sequence[Subscription] = ()) -> dict[str, object]:
        """What the service reports of itself (docs/wire.md#receipts), without instance and time.

        `generations` are those of its projections that live here.
        """
        every = (*self.subscriptions.values(), *generations)
        sensitive: dict[str, list[str]] = {}
        models: list[type[Heard]] = list(self.says.values())
        for each in (*every, *self.projections.values()):
            models += [*each.wanted, *(path.model for path in each.upcast_paths.values())]
        for model in models:
            if model.__hocket_sensitive__:
                name, version = name_of(model)
                known = sensitive.setdefault(f"{name}/{version}", [])
                known.extend(f for f in model.__hocket_sensitive__ if f not in known)
        return {
            "service": self.service,
            "owner": self.owner,
            "subscriptions": [self._describe(each) for each in every],
            "says": [list(name) for name in self.says],
            "sensitive": sensitive,
        }

    def add(self, made: Subscription) -> None:
        """Add one subscription. Raises `DeclarationError`; then nothing was added."""
        if made.idempotent and (made.says or made.scheduled):
            raise DeclarationError(
                f"{made.queue}: idempotent=True writes no inbox row, so a second delivery would say its events twice; "
                "remove idempotent=True, or return None (RULES 2.6)"
            )
        for other in self.subscriptions.values():
            theirs = other.breaker
            if made.breaker and theirs and made.breaker is not theirs and made.breaker.name == theirs.name:
                raise DeclarationError(
                    f"{made.queue}: {other.queue} has another breaker named {theirs.name}; use one and the same "
                    "object, or give them different names"
                )
        check_history(made, self.subscriptions.get(made.undo.step) if made.undo else None)
        self._check_names(made)
        self._check_says(made.queue, (*made.says, *made.scheduled))
        if made.undo:
            step = self.subscriptions[made.undo.step]
            if step.undone_by is not None:
                raise DeclarationError(
                    f"{made.queue}: {step.queue} is undone by {step.undone_by.queue} already; keep one of them"
                )
            self._check_step(step, made, made.undo)
            step.undone_by = made
        if made.after is not None:
            made.after.followed = True
        self.subscriptions[made.queue] = made
        self._say((*made.says, *made.scheduled))

    def add_projection(self, made: Subscription, where: str) -> None:
        """Add one version of a projection. Raises `DeclarationError`; then nothing was added."""
        assert made.projected is not None
        self._check_names(made)
        if (made.name, made.projected.version) in self.projections:
            raise DeclarationError(
                f"{where}: version {made.projected.version} is declared already; give the newer one a higher version="
            )
        check_own_tables(made, self.projections.values(), where)
        self.projections[made.name, made.projected.version] = made
        self.settle()

    def add_on_dead(
        self, of: Subscription, fn: Callable[..., Event], says: tuple[type[Event], ...], where: str
    ) -> None:
        """Add what a subscription says when one of its deliveries is given up."""
        if of.on_dead is not None:
            raise DeclarationError(f"{where}: {of.queue} has an on_dead already; keep one of them")
        check_last_word(of, where)
        self._check_says(where, says)
        if of.undone_by and of.undone_by.undo:
            self._check_step(replace(of, on_dead_says=says), of.undone_by, of.undone_by.undo)
        of.on_dead = fn
        of.on_dead_says = says
        self._say(says)

    def add_says(self, *events: type[Event]) -> None:
        """Add what is said outside handlers."""
        self._check_says(self.service, events)
        self.outside.extend(event for event in events if event not in self.outside)
        self._say(events)

    def add_breaker_event(self) -> type[Event]:
        """Say each change of a breaker (RULES 6.7); the class of that event."""
        if self.breaker_event is None:
            self.breaker_event = breaker_changed(self.service)
            self.add_says(self.breaker_event)
        return self.breaker_event

    def add_upcast(self, old: type[Heard], made: Upcast, where: str) -> None:
        """Add how an old version is read (RULES 10.1)."""
        check_newer(old, made.gives, where)
        check_one_path(old, self.upcasts, where, "is read by an upcast")
        self.upcasts[old] = made
        self.settle()

    def add_downcast(self, new: type[Event], made: Downcast, where: str) -> None:
        """Add how an older version is said together with a newer one (RULES 10.1)."""
        check_newer(made.gives, new, where)
        known = [each.gives for several in self.downcasts.values() for each in several]
        check_one_path(made.gives, known, where, "is made by an also_says")
        self._check_says(where, (made.gives,))
        self.downcasts.setdefault(new, []).append(made)
        self._say((made.gives,))

    def older(self, event: Event) -> tuple[Event, ...]:
        """The older versions that are said together with `event`."""
        return tuple(older_of(event, self.downcasts)) if self.downcasts else ()

    def _check_names(self, made: Subscription) -> None:
        for other in self.subscriptions.values():
            names = {other.queue, *other.former_queues}
            for name in names & {made.queue, *made.former_queues}:
                raise DeclarationError(
                    f"{made.queue}: {name} is or was the name of {other.queue}, whose keys are derived from it; "
                    "choose another name"
                )

    def _check_says(self, where: str, events: Sequence[type[Event]]) -> None:
        for event in events:
            known = self.says.get(name_of(event), event)
            if known is not event:
                type, version = name_of(event)
                raise DeclarationError(
                    f"{where}: {type} version {version} is said as {event.__name__} here and as {known.__name__} "
                    "elsewhere in this service; keep one class"
                )

    def _say(self, events: Sequence[type[Event]]) -> None:
        self.says.update((name_of(event), event) for event in events)
        self.settle()

    def complete(self) -> None:
        """Check the declarations as a whole, before the service starts. Raises `DeclarationError`."""
        self.settle()
        for each in (*self.subscriptions.values(), *self.projections.values()):
            check_not_sensitive(each.latest_by, self._versions_of(each.heard), each.queue)
            if each.undo:
                self._check_step(self.subscriptions[each.undo.step], each, each.undo)
        for new in self.downcasts:
            if self.says.get(name_of(new)) is not new:
                raise DeclarationError(
                    f"{self.service}: also_says makes an older version of {new.__name__}, which this service does not "
                    "say; return it from a handler, name it in says(), or remove the also_says function"
                )

    def settle(self) -> None:
        """Compute what depends on several declarations: called again after each of them.

        This is, for every subscription, the versions that it reads. For an undo it is also which of its failures are
        bound to its queue (RULES 5.5). A failure that the step's own `on_dead` says needs no binding, because the undo
        order is written with it; it is bound only if another declaration of the service says it too.
        """
        for each in (*self.subscriptions.values(), *self.projections.values()):
            if each.undo is None:
                each.upcast_paths = upcast_paths(each.wanted, self.upcasts)
                if each.overdue is not None:
                    secret = is_sensitive(each.overdue.by, self._versions_of(each.wanted))
                    each.overdue = replace(each.overdue, secret=secret)
                continue
            step = self.subscriptions[each.undo.step]
            elsewhere = {*self.outside, *step.scheduled}
            for other in self.subscriptions.values():
                if other is not step and other is not each:
                    elsewhere |= {*other.says, *other.scheduled, *other.on_dead_says}
            failures = dict.fromkeys((*each.undo.why, *each.undo.spoken))
            spoken = tuple(model for model in step.on_dead_says if model in failures)
            bound = tuple(model for model in failures if model not in spoken or model in elsewhere)
            secret = is_sensitive(each.undo.by, self._versions_of((*step.heard, *failures, each.undo.did)))
            each.undo = replace(each.undo, why=bound, spoken=spoken, identity=step.identity, secret=secret)
            each.upcast_paths = upcast_paths((*bound, *spoken), self.upcasts)
            each.results = upcast_paths((each.undo.did,), self.upcasts)

    def _versions_of(self, models: Sequence[type[Heard]]) -> tuple[type[Heard], ...]:
        """These models, and those of every older version that is read as one of them."""
        return tuple(dict.fromkeys((*models, *(path.model for path in upcast_paths(models, self.upcasts).values()))))

    def _check_step(self, step: Subscription, undone_by: Subscription, undo: Undo) -> None:
        """Refuse a step, an undo and an `on_dead` that contradict each other (RULES 5.1, 5.5)."""
        failures = tuple(dict.fromkeys((*undo.why, *undo.spoken)))
        for model in step.on_dead_says:
            if model not in failures:
                raise DeclarationError(
                    f"{undone_by.queue}: on_dead of {step.queue} says {model.__name__}, which must start this undo "
                    f"too; add it to the third parameter: why: {' | '.join(each.__name__ for each in failures)} | "
                    f"{model.__name__}"
                )
        heard, why, did = (self._versions_of(models) for models in (step.heard, failures, (undo.did,)))
        for name in undo.by:
            check_scope(name, heard, why, did, undone_by.queue)

    def _describe(self, subscription: Subscription) -> dict[str, object]:
        undo = subscription.undo
        step = self.subscriptions[undo.step] if undo else subscription
        return {
            "name": subscription.queue,
            "hears": [list(name) for name in step.bound],
            "says": self._versions(subscription.says),
            "scheduled": self._versions(subscription.scheduled),
            "undo_of": undo.step if undo else None,
            "overdue": described(subscription.overdue),
            "why": [list(name) for name in subscription.bound] if undo else [],
            "on_dead": self._versions(subscription.on_dead_says),
            "breaker": subscription.breaker.name if subscription.breaker else None,
            "attempts": subscription.retry.attempts,
            "budget": subscription.retry.budget(subscription.timeout),
            **guards(subscription),
        }

    def _versions(self, said: Sequence[type[Event]]) -> list[list[str | int]]:
        every = [each for model in said for each in (model, *older_types(model, self.downcasts))]
        return [list(name_of(model)) for model in dict.fromkeys(every)]

"""Station decode: turns bytes into envelope and event in one pass; buries at once what cannot be read."""

import json
from typing import TypeGuard

from pydantic import ValidationError

from hocket.broker.topology import EVENTS, HEARD, routing_key
from hocket.delivery.arrival import FIRST_ATTEMPT, Arrival, Role, run_of, undo_of
from hocket.delivery.ending.error_text import clean, text_of
from hocket.delivery.overdue.work import TimerWork, alarm_of
from hocket.envelope.cloudevent import OVERDUE_TYPE, UNDO_TYPE, Received, hash_of, read
from hocket.envelope.keys import HASH_DIGITS, RUN_DIGITS, inbox_key, scope_key, timed_run, timer_key
from hocket.errors import Undecodable
from hocket.event import Heard
from hocket.event_data import identity
from hocket.event_data.invalid_fields import MAX_PLACES, invalid_fields
from hocket.masking.mask import Mask
from hocket.outcome import Bury

PROMISE = "bytes become envelope and event in one pass; what cannot be read is buried at once, without retries"

#: The exchanges by which events come; what comes by the service's own exchange has its queue's name as routing key.
SAID = frozenset({EVENTS, HEARD})
#: The highest attempt that is accepted in a header.
LAST_ATTEMPT = 1_000_000
#: Characters of a replay's id.
MAX_REPLAY_CHARS = 255
_as_array = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_DIGITS = frozenset("0123456789abcdef")


def decode(arrival: Arrival) -> None:
    """Set envelope, event and keys, or an outcome that buries the delivery.

    Causes: `undecodable` (no envelope), `misrouted` (another type than its routing key says, docs/security.md),
    `version` (no model of the subscription reads this version, RULES 10.2), `invalid` (the data does not fit the
    model). None of them writes to inbox or ledger.
    """
    delivery = arrival.delivery
    arrival.attempt = _attempt_of(delivery.headers.get("hocket-attempt"))
    replay = delivery.headers.get("hocket-replay")
    arrival.replay = replay if isinstance(replay, str) and len(replay) <= MAX_REPLAY_CHARS else ""
    try:
        received = read(delivery.body, delivery.content_type, delivery.headers, arrival.began)
    except Undecodable as broken:
        arrival.outcome = Bury("undecodable", text_of(broken, arrival.mask()), row=False)
        return
    envelope, subscription = received.envelope, arrival.subscription
    arrival.envelope, arrival.hash, arrival.body = envelope, hash_of(received.data), received.body
    if delivery.exchange in SAID and delivery.routing_key != routing_key(envelope.type, envelope.version):
        arrival.outcome = Bury(
            "misrouted",
            f"it came by the routing key {delivery.routing_key} and says that it is {envelope.type} version "
            f"{envelope.version}: the broker's permissions are about the routing key",
            row=False,
        )
        return
    arrival.key = inbox_key(subscription.identity, envelope.source, envelope.type, envelope.idempotency_key)
    if envelope.type == UNDO_TYPE:
        _set_undo(arrival)
        return
    if envelope.type == OVERDUE_TYPE:
        _set_alarm(arrival)
        return
    _set_event(arrival, received)


def _set_event(arrival: Arrival, received: Received) -> None:
    """Read the event that the handler gets: the one that came, or the one that armed a time-out that is due."""
    subscription, envelope = arrival.subscription, received.envelope
    path = subscription.upcast_path(envelope.type, envelope.version)
    if path is None or (subscription.undo is not None and path.gives not in subscription.undo.why):
        reads = ", ".join(f"{type_} version {version}" for type_, version in subscription.bound)
        arrival.outcome = Bury(
            "version",
            f"{subscription.queue} reads {reads or 'nothing'}, not {envelope.type} version {envelope.version}",
            row=False,
        )
        return
    try:
        arrival.event = path.read(received)
    except ValidationError as broken:
        arrival.outcome = Bury("invalid", sentence(broken, arrival.mask()), row=False)
        return
    except Exception as broken:  # noqa: BLE001 -- a team's validator may raise anything
        why = text_of(broken, arrival.mask())
        arrival.outcome = Bury("invalid", f"data does not fit {path.model.__name__}: {why}", row=False)
        return
    _set_step(arrival)
    _set_timer(arrival, path.gives)


def _set_step(arrival: Arrival) -> None:
    undo = undo_of(arrival.subscription)
    if undo is None:
        return
    arrival.role = Role.STEP if arrival.subscription.undo is None else Role.FAILURE
    arrival.scope = scope_of(arrival.event, undo.by) if undo.by else arrival.known.subject
    arrival.run = run_of(arrival)  # by the scope as it is: a mark that is set later makes no other run
    if undo.secret:
        arrival.scope = scope_key(arrival.scope)


def _set_timer(arrival: Arrival, model: type[Heard]) -> None:
    """Whether the event arms or answers a time-out, and which (RULES 5.7)."""
    subscription, overdue = arrival.subscription, arrival.subscription.overdue
    if overdue is None or arrival.alarm is not None:
        return
    scope = scope_of(arrival.event, overdue.by) if overdue.by else arrival.known.subject
    flow = "" if overdue.across else arrival.known.correlation_id
    run = timer_key(flow, subscription.identity, scope)
    shown = scope_key(scope) if overdue.secret else scope
    arrival.timer = TimerWork(run, shown, model in subscription.heard, model in overdue.unless)


def _set_alarm(arrival: Arrival) -> None:
    """The alarm of a time-out that is due: its handler gets the event that armed it."""
    subscription = arrival.subscription
    if subscription.overdue is None:
        why = f"{subscription.queue} is no time-out any more: replay it once it is one again, or resolve it"
        arrival.outcome = Bury("version", why, row=False)
        return
    try:
        arrival.alarm, armed = alarm_of(arrival.known.data, lambda: arrival.began)
    except Undecodable as broken:
        arrival.outcome = Bury("undecodable", clean(str(broken)), row=False)
        return
    _set_event(arrival, armed)


def scope_of(event: Heard | None, by: tuple[str, ...]) -> str:
    """The scope of a step run: the values of these fields (RULES 5.1)."""
    return _as_array([identity.text_of(getattr(event, field)) for field in by])


def _set_undo(arrival: Arrival) -> None:
    run, n = arrival.known.data.get("run"), arrival.known.data.get("n")
    if isinstance(run, str) and len(run) == HASH_DIGITS:  # ordered before schema 4
        run = timed_run(arrival.known.correlation_id, run)
    if arrival.subscription.undo is None or not _names_run(run) or not isinstance(n, int):
        arrival.outcome = Bury("undecodable", "data: not an order to undo for this subscription", row=False)
        return
    arrival.role, arrival.run, arrival.generation = Role.UNDO, run, n


def _names_run(run: object) -> TypeGuard[str]:
    return isinstance(run, str) and len(run) == RUN_DIGITS and set(run) <= _DIGITS


def _attempt_of(header: object) -> int:
    return header if isinstance(header, int) and FIRST_ATTEMPT <= header <= LAST_ATTEMPT else FIRST_ATTEMPT


def sentence(broken: ValidationError, mask: Mask) -> str:
    """Field and cause of each error, without the values: they may be sensitive, also where a validator quotes them."""
    places = "; ".join(f"{each.field or 'data'}: {each.text}" for each in invalid_fields(broken)[:MAX_PLACES])
    return clean(mask.hide(f"data does not fit {broken.title}: {places}"))

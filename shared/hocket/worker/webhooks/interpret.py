"""From an authentic body to events, or to the cause for which it is kept (RULES 12.2). Pure but for the team's code."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import orjson
from pydantic import BaseModel, ValidationError

from hocket.delivery.ending.error_text import clean, text_of
from hocket.envelope.cloudevent import canonical
from hocket.errors import HocketError
from hocket.event import SENSITIVE, Event, Heard, Scheduled, data_of
from hocket.event_data.invalid_fields import MAX_PLACES, invalid_fields
from hocket.masking.mask import Mask
from hocket.masking.values import MAX_DEPTH, texts_in
from hocket.webhooks.declared import NothingSaid, Webhook
from hocket.webhooks.signature import Push
from hocket.worker.webhooks.ends import Cause

#: Bytes of each hash of a body or of events.
HASH_BYTES = 16
#: Longest delivery id that is kept as it is, in characters; a longer or unprintable one is kept as its hash.
MAX_ID = 200

#: Compares the body of a push, valid or not, and says why it is to be kept as `drift`; "" where it is not.
DriftCheck = Callable[[Webhook, Push], str]


@dataclass(frozen=True, slots=True)
class Interpreted:
    """What a push says, or why it is kept."""

    said: tuple[Event | Scheduled[Event], ...] = ()
    events_hash: bytes = b""  # of the events in canonical form
    cause: Cause | None = None
    error: str = ""


def body_hash(body: bytes) -> bytes:
    """By which equal bodies are known."""
    return hashlib.sha256(body).digest()[:HASH_BYTES]


def no_drift(hook: Webhook, push: Push) -> str:
    """Nothing is compared: a person has asked for it to be taken."""
    return ""


def delivery_of(hook: Webhook, push: Push) -> tuple[str, str]:
    """The delivery's id (RULES 12.3), and what is wrong with the team's `key=`; of an id that no store takes a hash."""
    fault = ""
    id: object = ""
    given: Callable[[Push], object] | None = hook.key
    if given is not None:
        try:
            id = given(push)
            fault = "" if isinstance(id, str) and id else f"key= gave {type(id).__name__}, not a text"
        except BaseException as error:  # noqa: BLE001 -- a team's code may raise anything, SystemExit too
            fault = f"key= raised {type(error).__name__}"
    if given is None or fault:
        id = _sender_id(hook, push)
    text = id if isinstance(id, str) else ""
    if not text:
        return f"sha256:{hashlib.sha256(push.body).hexdigest()}", fault
    if len(text) > MAX_ID or not text.isprintable():
        return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}", fault
    return text, fault


def _sender_id(hook: Webhook, push: Push) -> object:
    try:
        return hook.signed.delivery_id(push)
    except BaseException:  # noqa: BLE001 -- a team's subclass may raise anything, and the push is authentic
        return ""


def interpret(hook: Webhook, push: Push, check: Callable[[object], None], drift: DriftCheck) -> Interpreted:
    """Parse, validate, map; `check` raises for an event that cannot be said. Nothing that a sender sends raises."""
    try:
        body = hook.adapter.validate_json(push.body) if hook.body is not bytes else push.body
    except ValidationError as error:
        invalid = invalid_fields(error)
        if any(each.kind == "json_invalid" for each in invalid):
            return Interpreted(cause=Cause.UNPARSABLE, error=clean(invalid[0].text))
        drift(hook, push)
        return Interpreted(cause=Cause.CONTRACT, error=clean(_places(error)))
    except (ValueError, RecursionError) as error:
        return Interpreted(cause=Cause.UNPARSABLE, error=clean(type(error).__name__))
    except BaseException as error:  # noqa: BLE001 -- a validator of the team may raise anything
        return Interpreted(cause=Cause.CONTRACT, error=clean(f"the model raised {_told(error, hook, push)}"))
    try:
        if found := drift(hook, push):
            return Interpreted(cause=Cause.DRIFT, error=clean(found))
        said = hook.said(body, push)
        for each in said:
            check(each)
        return Interpreted(said, hash_of_events(said))
    except (NothingSaid, HocketError) as error:
        return Interpreted(
            cause=Cause.MAPPING, error=clean(_mask(push, hidden_names(hook)).hide(f"the mapping {error}"))
        )
    except BaseException as error:  # noqa: BLE001 -- a team's mapping may raise anything, and nothing here is awaited
        return Interpreted(cause=Cause.MAPPING, error=clean(_told(error, hook, push)))


def _told(error: BaseException, hook: Webhook, push: Push) -> str:
    """An error of the team's code, without the values of sensitive fields."""
    return f"{type(error).__name__}: {text_of(error, _mask(push, hidden_names(hook)))}"


def hash_of_events(said: Sequence[Event | Scheduled[Event]]) -> bytes:
    """By which equal events are known: a sender computes some fields of a body anew in each attempt."""
    whole = hashlib.sha256()
    for each in said:
        event = each.event if isinstance(each, Scheduled) else each
        data = canonical(data_of(event))
        about = f"{type(event).__hocket_type__}/{type(event).__hocket_version__}/{len(data)}\n"
        whole.update(about.encode() + data)
    return whole.digest()[:HASH_BYTES]


def _places(error: ValidationError) -> str:
    found = invalid_fields(error)
    named = [f"{each.field or 'the body'}: {'is not valid' if each.own_text else each.text}" for each in found]
    return "; ".join(named[:MAX_PLACES])


def hidden_names(hook: Webhook) -> tuple[str, ...]:
    """Names of fields whose values nobody is shown: sensitive ones of the body's models and of the events said."""
    names: dict[str, None] = {}
    for event in (*hook.says, *hook.scheduled):
        names |= dict.fromkeys(event.__hocket_sensitive__)
    for model in _models(hook.body, set()):
        for name, field in model.model_fields.items():
            if SENSITIVE in field.metadata or (issubclass(model, Heard) and name in model.__hocket_sensitive__):
                aliases = (field.alias, field.validation_alias)
                names |= dict.fromkeys((name, *(each for each in aliases if isinstance(each, str))))
    return tuple(names)


def _models(annotation: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, and those inside them, each once."""
    resolved = getattr(annotation, "__value__", annotation)
    if isinstance(resolved, type) and issubclass(resolved, BaseModel) and resolved not in seen:
        seen.add(resolved)
        yield resolved
        for field in resolved.model_fields.values():
            yield from _models(field.annotation, seen)
    for each in get_args(resolved):
        yield from _models(each, seen)


def _mask(push: Push, hidden: Sequence[str]) -> Mask:
    """What hides the values of these fields, wherever in the body they stand."""
    try:
        found = orjson.loads(push.body)
    except ValueError:
        return Mask()
    return Mask([text for value in _under(found, frozenset(hidden)) for text in texts_in(value)])


def _under(value: Any, names: frozenset[str], depth: int = 0) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name in names:
                yield each
            else:
                yield from _under(each, names, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _under(each, names, depth + 1)

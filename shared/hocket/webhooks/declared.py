"""One webhook as its service declares it, and the check of its declaration. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import BaseModel, PydanticSchemaGenerationError, SecretBytes, SecretStr, TypeAdapter

from hocket.declarations.annotations import answer_of, returned_of
from hocket.declarations.answer import Answer
from hocket.declarations.names import is_name
from hocket.declarations.signature import signature_of
from hocket.declarations.team_settings import variable_of
from hocket.errors import DeclarationError
from hocket.event import Event, Scheduled
from hocket.webhooks.signature import Push, Signature

#: Authentic pushes of one webhook that are taken a second, where its declaration gives none; a burst of one second.
RATE = 1000.0
#: Shortest secret in bytes.
MIN_SECRET_BYTES = 16
#: Longest name of a webhook, in characters.
MAX_NAME = 100

Drift = Literal["accept", "warn", "quarantine"]

_FORM = "def NAME(body: Body, push: Push) -> A | None"
_OPTIONS: Mapping[str, tuple[type, ...]] = {
    "name": (str,), "key": (object,), "rate": (int, float), "drift": (str,)
}  # fmt: skip


class NothingSaid(Exception):
    """What a mapping returned is not what its annotation declares."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A declared webhook: `POST /webhooks/NAME`."""

    service: str
    name: str
    call: Callable[[Any, Push], Any]
    signed: Signature
    body: Any  # the annotation of the first parameter
    adapter: TypeAdapter[Any]
    says: tuple[type[Event], ...]
    scheduled: tuple[type[Event], ...]
    answer: Answer
    settings: type[BaseModel]
    key: Callable[[Push], str] | None = None
    rate: float = RATE
    drift: Drift = "warn"

    @property
    def where(self) -> str:
        """As errors name it."""
        return f"{self.service}, webhook {self.name}"

    def said(self, body: Any, push: Push) -> tuple[Event | Scheduled[Event], ...]:
        """What the mapping makes of a valid body; `NothingSaid` where its annotation does not allow it."""
        value = self.call(body, push)
        if fault := self.answer.fault(value):
            raise NothingSaid(fault)
        if value is None:
            return ()
        several = value if isinstance(value, list | tuple) else (value,)
        return tuple(each for each in several if each is not None)

    def secrets(self, settings: BaseModel) -> "list[Secret]":
        """The secrets in the order of the settings; `ValueError` says which variable is to be mended, and how."""
        variable = variable_of(self.settings, self.signed.secrets)
        texts = list(_texts(getattr(settings, self.signed.secrets)))
        found: list[Secret] = []
        for position, text in enumerate(texts, 1):
            which = variable if len(texts) == 1 else f"{variable}, secret {position}"
            try:
                raw = self.signed.secret_of(text)
            except ValueError as error:
                raise ValueError(f"{which} {error}") from None
            if len(raw) < MIN_SECRET_BYTES:
                raise ValueError(
                    f"{which} has {len(raw)} bytes, and webhook {self.name} takes no secret below {MIN_SECRET_BYTES}: "
                    "set it to the secret that the sender shows"
                )
            found.append(Secret(text, raw))
        if not found:
            raise ValueError(f"{variable} is empty, and webhook {self.name} is signed: set it to the sender's secret")
        return found


@dataclass(frozen=True, slots=True)
class Secret:
    """One active secret: as the settings have it, and in bytes."""

    text: str = field(repr=False)
    raw: bytes = field(repr=False)


def _texts(value: object) -> "list[str]":
    if isinstance(value, SecretStr | SecretBytes):
        value = value.get_secret_value()
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return [each.strip() for each in value.split(",")] if value.strip() else []
    if isinstance(value, list | tuple | set | frozenset):
        plain = [each.get_secret_value() if isinstance(each, SecretStr | SecretBytes) else each for each in value]
        return [each.decode() if isinstance(each, bytes) else str(each) for each in plain]
    return []


def webhook_of(
    service: str, settings: type[BaseModel] | None, fn: Callable[..., Any], signed: object, options: Mapping[str, Any]
) -> Webhook:
    """One webhook as data. Raises `DeclarationError`."""
    name = options.get("name", getattr(fn, "__name__", ""))
    where = f"{service}, webhook {name}"
    if not is_name(name) or len(name) > MAX_NAME:
        raise DeclarationError(
            f"{where}: a webhook's name has lower case letters, digits, _ and -, begins with a letter, and has at most "
            f'{MAX_NAME} characters; give name="stripe"'
        )
    if not isinstance(signed, Signature):
        raise DeclarationError(f'{where}: say how it is signed: @service.webhook(Stripe(secrets="stripe_secrets"))')
    _check_options(options, where)
    if settings is None or signed.secrets not in settings.model_fields:
        raise DeclarationError(
            f"{where}: its secrets are the field {signed.secrets!r} of the service's settings, which has none: add the "
            f"field `{signed.secrets}: SecretStr` to the class that settings= names (secrets= is the field's name, not "
            "the secret)"
        )
    signature = signature_of(fn, where, _FORM, plain=True)
    body, push = signature.parameters
    if push is not Push:
        raise DeclarationError(f"{where}: the second parameter is the push; write push: Push, of hocket.webhooks")
    returned = returned_of(signature.returns, where)
    return Webhook(
        service, name, fn, signed, body, _adapter(body, where), returned.says, returned.scheduled,
        answer_of(signature.returns, where), settings, options.get("key"), float(options.get("rate", RATE)),
        options.get("drift", "warn"),
    )  # fmt: skip


def _check_options(options: Mapping[str, Any], where: str) -> None:
    for option, value in options.items():
        if option not in _OPTIONS:
            raise DeclarationError(f"{where}: {option}= is unknown; give {', '.join(f'{each}=' for each in _OPTIONS)}")
        if not isinstance(value, _OPTIONS[option]) or isinstance(value, bool):
            raise DeclarationError(f"{where}: {option}={value!r} is not of type {_OPTIONS[option][-1].__name__}")
    if not callable(options.get("key", str)):
        raise DeclarationError(f"{where}: key= takes a plain function of the push: lambda push: …")
    if not 0 < options.get("rate", RATE) < float("inf"):
        raise DeclarationError(f"{where}: rate={options['rate']} is out of bounds; give pushes a second, above 0")
    if options.get("drift", "warn") not in get_args(Drift):
        raise DeclarationError(f"{where}: drift={options['drift']!r}; give one of {', '.join(get_args(Drift))}")


def _adapter(body: Any, where: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(body)
    except PydanticSchemaGenerationError as error:
        raise DeclarationError(
            f"{where}: the first parameter cannot be read from JSON: write a pydantic model of the fields that this "
            "service reads"
        ) from error

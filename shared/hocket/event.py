"""Event models: `Event` for what a service says, `Heard` for what it reads of another service's event.

Class keywords give type and version, pydantic fields the data. Invalid declarations raise `DeclarationError` when the
class is created; the message says how to fix them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from datetime import datetime, timedelta
from string import Formatter
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args, get_origin, get_type_hints, overload

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field
from pydantic._internal._model_construction import ModelMetaclass
from typing_extensions import TypeAliasType, dataclass_transform, is_typeddict

from hocket.envelope import Json
from hocket.errors import DeclarationError, Unsayable
from hocket.event_data import identity, saying
from hocket.event_data.declared import check
from hocket.pseudonym import Pseudonyms

#: Longest event type in bytes: with its version it is a routing key, for which AMQP allows 255.
MAX_TYPE_BYTES = 200
#: Highest version of an event type.
MAX_VERSION = 1_000_000
#: Longest key of a scheduled event, in bytes.
MAX_SCHEDULE_KEY_BYTES = 500
#: Beginnings of types that belong to the kit and to the broker.
RESERVED_BEGINNINGS = ("hocket.", "amq")

_SAID_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
#: Foreign publishers choose their own names; only the characters that a routing key treats as special are excluded.
_HEARD_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
#: The mark of a sensitive field in its metadata.
SENSITIVE = "hocket.sensitive"
#: The form by which a subject names a field as a pseudonym: `lead/{email:pseudonym}`.
PSEUDONYM = "pseudonym"

T = TypeVar("T")
#: Marks a field as personal or secret, `card_token: Sensitive[str]`: it is masked wherever people see it.
Sensitive = Annotated[T, SENSITIVE]


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class _Declared(ModelMetaclass):
    """Tells type checkers that event models are frozen and take keyword arguments only."""


class Heard(BaseModel, metaclass=_Declared):
    """An event that another service says, with only the fields that this service reads.

    `class OrderPlaced(Heard, type="order.placed", version=1)`. Instances are frozen; other fields are ignored. Raises
    `DeclarationError` when the class is created with invalid keywords.
    """

    # An infinity stays one, so that it is refused instead of said as null.
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    __hocket_type__: ClassVar[str] = ""
    __hocket_version__: ClassVar[int] = 1
    __hocket_sensitive__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, type: str = "", version: int = 1, **unknown: object) -> None:
        super().__init_subclass__()  # typing.Generic learns its parameters here
        if cls.__module__ == __name__:
            return
        _refuse_unknown(cls, unknown, 'type="order.placed" and version=1')
        _check_type(cls, type, _HEARD_TYPE)
        _check_version(cls, version)
        cls.__hocket_type__ = type
        cls.__hocket_version__ = version

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        if cls.__module__ == __name__:
            return
        if not cls.__pydantic_complete__:
            raise DeclarationError(
                f"{cls.__qualname__}: the types of its fields cannot be resolved; define or import them above it, at "
                "module level and not under TYPE_CHECKING"
            )
        if not cls.model_config.get("frozen") or cls.model_config.get("extra") != "ignore":
            raise DeclarationError(
                f"{cls.__qualname__}: an event is frozen and ignores unknown fields; remove `frozen` and `extra` from "
                "its class keywords and model_config"
            )
        check(cls, said=issubclass(cls, Event))
        cls.__hocket_sensitive__ = tuple(dict.fromkeys(_sensitive_names(cls)))


class Event(Heard):
    """An immutable fact in the past tense, said by exactly one service, which owns it.

    `class OrderPlaced(Event, type="order.placed", subject="order/{order_id}", version=1)`. `subject` names the business
    thing that the event is about, by its fields. Raises `DeclarationError` when the class is created with invalid
    keywords.
    """

    model_config = ConfigDict(validate_default=True)

    __hocket_subject__: ClassVar[str] = ""
    __hocket_named__: ClassVar[tuple[str, ...]] = ()  # the fields in the subject
    __hocket_pseudonyms__: ClassVar[tuple[str, ...]] = ()  # fields of the subject that stand there as a pseudonym
    __hocket_fits__: ClassVar[Callable[[Any], bool] | None] = None

    def __init_subclass__(cls, *, type: str = "", subject: str = "", version: int = 1, **unknown: object) -> None:
        _refuse_unknown(cls, unknown, 'type="order.placed", subject="order/{order_id}" and version=1')
        super().__init_subclass__(type=type, version=version)
        _check_type(cls, type, _SAID_TYPE)
        _check_subject(cls, subject)
        cls.__hocket_subject__ = subject

    @classmethod
    def __pydantic_init_subclass__(cls, **words: object) -> None:
        super().__pydantic_init_subclass__(**words)
        cls.__hocket_named__ = tuple(name for name, _ in _subject_fields(cls))
        cls.__hocket_pseudonyms__ = tuple(name for name, form in _subject_fields(cls) if form)
        for name, form in _subject_fields(cls):
            if name not in cls.model_fields:
                raise DeclarationError(
                    f"{cls.__qualname__}: subject {cls.__hocket_subject__!r} names {name!r}, which is not one of its "
                    f"fields: {', '.join(cls.model_fields) or 'none'}"
                )
            if fault := identity.fault_of(cls.model_fields[name]):
                raise DeclarationError(
                    f"{cls.__qualname__}: subject {cls.__hocket_subject__!r} names {name!r}, which {fault}"
                )
            if name in cls.__hocket_sensitive__ and not form:
                raise DeclarationError(
                    f"{cls.__qualname__}: subject {cls.__hocket_subject__!r} shows {name!r}, which is Sensitive, to "
                    f"everybody who sees a queue or a console: write {{{name}:{PSEUDONYM}}}, a keyed hash by which the "
                    "consoles find it, or use a field that is not sensitive (RULES 18.2)"
                )
        cls.__hocket_fits__ = saying.fits_of(cls)

    def subject_of(self, pseudonyms: Pseudonyms | None = None, *, like: str = "") -> str:
        """The subject of this event, `order/4711`; `pseudonyms` makes what the subject names as a pseudonym.

        While a key is being replaced, the subject `like` of the cause is kept where it names the same value by an
        older key, so that a flow goes on under one subject. `Unsayable` where there is no key for a pseudonym.
        """
        values = {name: identity.text_of(getattr(self, name)) for name in self.__hocket_named__}
        if not self.__hocket_pseudonyms__:
            return self.__hocket_subject__.format_map(values)
        if not pseudonyms:
            raise Unsayable(f"{self.__hocket_type__}: {no_key(type(self))}")
        template = self.__hocket_subject__.replace(f":{PSEUDONYM}}}", "}")
        hashed = [pseudonyms.every(values[name]) for name in self.__hocket_pseudonyms__]
        subjects = [
            template.format_map({**values, **dict(zip(self.__hocket_pseudonyms__, each, strict=True))})
            for each in zip(*hashed, strict=True)
        ]
        return like if like in subjects else subjects[0]


def data_of(event: Heard) -> dict[str, Json]:
    """The data of an event as it is said. Raises `Unsayable` where its hearers would read something else."""
    return saying.data_of(event, type(event).__hocket_fits__ if isinstance(event, Event) else None)


E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True, init=False)
class Scheduled(Generic[E_co]):
    """An event to say later: `after` a time from the commit, or `at` a moment (with a time zone).

    `key` names it for `tx.cancel(type(event), key)`. Raises `Unsayable` for invalid arguments.
    """

    event: E_co
    after: timedelta | None
    at: datetime | None
    key: str

    @overload
    def __init__(self, event: E_co, *, after: timedelta, key: str) -> None: ...

    @overload
    def __init__(self, event: E_co, *, at: datetime, key: str) -> None: ...

    def __init__(self, event: E_co, *, after: timedelta | None = None, at: datetime | None = None, key: str) -> None:
        what = f"Scheduled {type(event).__name__}"
        if not isinstance(event, Event):
            raise Unsayable(f"{what}: only an Event can be scheduled; give one of this service")
        if (after is None) == (at is None):
            raise Unsayable(f"{what}: give after=timedelta(…) or at=datetime(…), exactly one of them")
        if after is not None and after < timedelta():
            raise Unsayable(f"{what}: after={after} is negative; give a timedelta of at least 0")
        if at is not None and at.tzinfo is None:
            raise Unsayable(f"{what}: at={at} has no time zone; use datetime(…, tzinfo=UTC)")
        if not key or len(key.encode()) > MAX_SCHEDULE_KEY_BYTES:
            raise Unsayable(f"{what}: the key must have 1 to {MAX_SCHEDULE_KEY_BYTES} bytes")
        for name, value in (("event", event), ("after", after), ("at", at), ("key", key)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Death:
    """Why a delivery was given up: the second argument of `on_dead`.

    `cause` is the kind (an exception's class name, `rejected`, `timeout`, `crash`), `error` its text.
    """

    cause: str
    error: str
    attempts: int
    overdue: bool = False  # what died was a time-out that had fired


def _refuse_unknown(cls: type[Heard], unknown: dict[str, object], known: str) -> None:
    if unknown:
        raise DeclarationError(f"{cls.__qualname__}: class keyword {next(iter(unknown))!r} is unknown; give {known}")


def _check_type(cls: type[Heard], type: object, form: re.Pattern[str]) -> None:
    if not isinstance(type, str) or not type:
        raise DeclarationError(f'{cls.__qualname__}: the type is missing; add type="order.placed" as a class keyword')
    if type.startswith(RESERVED_BEGINNINGS):
        raise DeclarationError(
            f"{cls.__qualname__}: type {type!r} begins with a reserved name "
            f"({', '.join(RESERVED_BEGINNINGS)}); choose another"
        )
    if not form.fullmatch(type) or len(type.encode()) > MAX_TYPE_BYTES:
        raise DeclarationError(
            f"{cls.__qualname__}: type {type!r} is invalid; write a noun and a past participle, lower case with dots "
            f'("order.placed"), at most {MAX_TYPE_BYTES} bytes'
        )


def _check_version(cls: type[Heard], version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= MAX_VERSION:
        raise DeclarationError(
            f"{cls.__qualname__}: version {version!r} is invalid; give a whole number from 1 to {MAX_VERSION}"
        )


def _check_subject(cls: type[Heard], subject: object) -> None:
    if not isinstance(subject, str) or not subject:
        raise DeclarationError(
            f'{cls.__qualname__}: the subject is missing; add subject="order/{{order_id}}" with a field of the event'
        )


def no_key(cls: type[Event]) -> str:
    """The sentence for a pseudonym that cannot be made."""
    return (
        f"its subject {cls.__hocket_subject__!r} has a pseudonym: set HOCKET_PSEUDONYM_KEY to a secret, the same for "
        "every service and both consoles; `openssl rand -hex 32` makes one"
    )


def _subject_fields(cls: type[Event]) -> Iterator[tuple[str, str]]:
    """Each field that the subject names, and its form: empty, or `pseudonym`."""
    subject = cls.__hocket_subject__
    try:
        parts = list(Formatter().parse(subject))
    except ValueError as error:
        raise DeclarationError(f"{cls.__qualname__}: subject {subject!r} is not a valid format: {error}") from error
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if form not in {"", PSEUDONYM} or conversion or not name.isidentifier():
            raise DeclarationError(
                f"{cls.__qualname__}: subject {subject!r} may contain only plain fields, {{order_id}}, without "
                f"attributes, indexes and formats; of a sensitive one {{email:{PSEUDONYM}}}"
            )
        yield name, form or ""


def _sensitive_names(cls: type[BaseModel]) -> Iterator[str]:
    """The keys of sensitive fields in the data; a field that contains a sensitive one is sensitive as a whole.

    A field has every name that its value can have on the wire: its own, each alias, and where an alias is a path its
    first part, whose whole value is sensitive then.
    """
    for name, info in cls.model_fields.items():
        if SENSITIVE in info.metadata or _holds_sensitive(info.annotation, {cls}):
            yield name
            for alias in (info.alias, info.validation_alias, info.serialization_alias):
                yield from _keys_of(alias)
    for name, computed in cls.model_computed_fields.items():
        if _holds_sensitive(computed.return_type, {cls}):
            yield name
            yield from _keys_of(computed.alias)


def _keys_of(alias: str | AliasPath | AliasChoices | None) -> Iterator[str]:
    """The keys of the data that an alias reads from or writes to."""
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, AliasPath):
        yield str(alias.path[0])
    elif isinstance(alias, AliasChoices):
        for each in alias.choices:
            yield from _keys_of(each)


def _holds_sensitive(annotation: Any, seen: set[Any]) -> bool:
    """Whether something that an annotation consists of is sensitive: models, dataclasses, typed dicts, containers."""
    if get_origin(annotation) is Annotated and SENSITIVE in annotation.__metadata__:
        return True
    if isinstance(annotation, TypeAliasType) or hasattr(annotation, "__supertype__"):
        return _holds_sensitive(getattr(annotation, "__value__", None) or annotation.__supertype__, seen)
    if isinstance(annotation, type) and annotation not in seen:
        seen.add(annotation)
        if issubclass(annotation, BaseModel):
            parts = [info.annotation for info in annotation.model_fields.values()]
            marked = any(SENSITIVE in info.metadata for info in annotation.model_fields.values())
            computed = [each.return_type for each in annotation.model_computed_fields.values()]
            return marked or any(_holds_sensitive(each, seen) for each in (*parts, *computed))
        if is_dataclass(annotation) or is_typeddict(annotation) or hasattr(annotation, "_fields"):
            return any(
                _holds_sensitive(each, seen) for each in get_type_hints(annotation, include_extras=True).values()
            )
    origin = get_origin(annotation)
    return any(_holds_sensitive(each, seen) for each in (*get_args(annotation), *((origin,) if origin else ())))


def schedule_name(type_: str, key: str) -> str:
    """The name by which a scheduled event can be cancelled."""
    return f"{type_} {key}"

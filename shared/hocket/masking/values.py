"""Finds the sensitive values of an event: of its model, or of its data as they came. Pure."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from hocket.event import Heard

_PASSWORD = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
_CALLED_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|pass|secret|token|key|keys|dsn|credentials?)(?:_|$)", re.IGNORECASE
)

#: How deep values are looked for inside each other.
MAX_DEPTH = 20


def of_model(model: Heard) -> Iterator[str]:
    """The texts of all sensitive fields of an event, and of everything in them."""
    kind = type(model)
    for name in kind.__hocket_sensitive__:
        if name in kind.model_fields or name in kind.model_computed_fields:
            yield from texts_in(getattr(model, name, None))


def of_data(data: Mapping[str, object], names: Iterable[str]) -> Iterator[str]:
    """The texts of all values under these names, keys inside them included, since they may be data too."""
    for name in names:
        yield from texts_in(data.get(name))


def texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Every text that a value consists of: what can stand in an error. Of truth values and None nothing."""
    if value is None or isinstance(value, bool) or depth > MAX_DEPTH:
        return
    inner = _inside(value)
    if inner is not None:
        for each in inner:
            yield from texts_in(each, depth + 1)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield bytes(value).decode(errors="replace")
        yield base64.b64encode(value).decode()
    else:
        yield from _written(value)


def _inside(value: Any) -> Iterable[object] | None:
    """What a value consists of; None where it is one by itself."""
    if isinstance(value, SecretStr | SecretBytes):
        return (value.get_secret_value(),)
    if isinstance(value, Enum):
        return (value.value,)
    if isinstance(value, Mapping):
        return (*value.keys(), *value.values())
    if isinstance(value, BaseModel):
        return (*vars(value).values(), value.model_extra)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(getattr(value, field.name, None) for field in fields(value))
    return value if isinstance(value, list | tuple | set | frozenset) else None


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """The secrets of a settings model: secret types, passwords in addresses, fields that are called a secret."""
    for name, value in settings:
        if isinstance(value, SecretStr | SecretBytes):
            yield from texts_in(value)
        elif isinstance(value, BaseModel):
            yield from secrets_of(value)
        elif isinstance(value, str) or hasattr(value, "unicode_string"):
            text = str(value)
            for password in _PASSWORD.findall(text):
                yield password
                yield unquote(password)
            if _CALLED_SECRET.search(name) and "://" not in text:
                yield text
                yield from text.split(",")  # keys of which one replaces the other


def _written(value: object) -> Iterator[str]:
    """A number, a moment or anything else: as Python writes it, and as JSON does."""
    yield str(value)
    yield repr(value)
    if isinstance(value, date | datetime | time):
        yield value.isoformat()
    in_json = to_jsonable_python(value, fallback=str)
    if isinstance(in_json, str | int | float):
        yield str(in_json)

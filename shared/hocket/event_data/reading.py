"""Reads the data of an event into a model: JSON, under the aliases of its fields, exact or refused."""

from collections.abc import Iterator
from math import nextafter
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hocket.envelope import Json, Received, canonical
from hocket.envelope.canonical_json import MAX_SAFE, read_json
from hocket.envelope.long_number import LongNumber
from hocket.errors import Undecodable
from hocket.event_data.invalid_fields import invalid_fields

M = TypeVar("M", bound=BaseModel)


def read(model: type[M], received: Received) -> M:
    """The event's data as this model. Raises what pydantic or a validator raises.

    `Undecodable` names a field that reads a number with more digits than a double holds, unless it reads all of them.
    """
    event: M = model.__pydantic_validator__.validate_json(received.data, by_alias=True)
    if received.long:
        _check_long(event, read_json(received.data, "data"))
    return event


def _check_long(event: BaseModel, data: Json) -> None:
    """Read the data again with each long number moved by a little: what differs has read one of them."""
    wholes: set[int] = set()
    moved = canonical(_moved(data, wholes), heard=True)
    try:
        other = type(event).__pydantic_validator__.validate_json(moved, by_alias=True)
    except ValidationError as broken:
        place = invalid_fields(broken)[0].field
    else:
        found = _differing(event.model_dump(), other.model_dump(), wholes, ())
        place = ".".join(map(str, next(found, ())))
    if place:
        raise Undecodable(
            f"data.{place}",
            "has more digits than a double holds: read it as int where it is whole, else say it as text",
        )


def _moved(value: Json, wholes: set[int]) -> Json:
    """The value with each long number replaced by a neighbour; collects those that are whole."""
    if isinstance(value, dict):
        return {name: _moved(each, wholes) for name, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, wholes) for each in value]
    if type(value) is LongNumber:
        return nextafter(value, 0.0) if value else 5e-324
    if type(value) is int and abs(value) > MAX_SAFE:
        wholes.add(value)
        return int(nextafter(float(value), 0.0))
    return value


def _differing(left: Any, right: Any, wholes: set[int], path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The places of values that differ and are none of `wholes`."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        for name in left:
            yield from _differing(left[name], right[name], wholes, (*path, name))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        for at, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _differing(one, other, wholes, (*path, at))
    elif left != right and (isinstance(left, float) or left not in wholes):
        yield path

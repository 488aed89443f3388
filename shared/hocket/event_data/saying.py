"""The data of an event as it is said: JSON under the aliases of its fields, and what is said can be read again."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from types import NoneType
from typing import Any, cast
from uuid import UUID

from pydantic import AliasChoices, AliasPath, BaseModel, ValidationError

from hocket.envelope import Json, canonical
from hocket.errors import Unsayable
from hocket.event_data.core_schema import Node, definitions_of
from hocket.event_data.invalid_fields import MAX_PLACES, invalid_fields

#: Whether a value is of the very types that its model declares: such a value is read again as it is.
Fits = Callable[[Any], bool]

#: Kinds of values that JSON carries whole, and their types.
_SAFE: dict[str, type] = {
    "str": str, "int": int, "bool": bool, "float": float, "none": NoneType, "uuid": UUID, "datetime": datetime,
    "date": date, "time": time, "decimal": Decimal,
}  # fmt: skip
#: Settings of a model that change nothing of this.
_SAFE_CONFIG = frozenset({"title", "frozen", "extra_fields_behavior", "strict", "validate_default", "populate_by_name"})
_ANY = {"type": "any"}
_OWN_CONFIG = ("ser_json_inf_nan", "constants")


class _Unsure(Exception):
    """Whether a value can be read again is seen only when it is said."""


def fits_of(model: type[BaseModel]) -> Fits | None:
    """A quick test that suffices for events of this model; None: each must be read again before it is said."""
    schema, definitions = definitions_of(model)
    try:
        return _model(schema, definitions)
    except _Unsure:
        return None


def data_of(event: BaseModel, fits: Fits | None) -> dict[str, Json]:
    """What is said of an event. Raises `Unsayable`, without a value, where its hearers would read something else."""
    data = _written(event)
    if fits is None or not fits(event):
        _check_read_again(event, canonical(data))
    return data


def heard_data_of(event: BaseModel) -> dict[str, Json]:
    """Data that this model reads as this event, as its foreign publisher would say it. Raises `Unsayable`."""
    written, data = _written(event), dict[str, Json]()
    for name, info in type(event).model_fields.items():
        alias = info.validation_alias or name
        first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        key = info.serialization_alias or name
        if key in written:
            _put(data, first.path if isinstance(first, AliasPath) else [first], written[key])
    _check_read_again(event, canonical(data, heard=True))
    return data


def _put(data: dict[str, Json], path: Sequence[str | int], value: Json) -> None:
    """Set the value at a path of names; a path with an index cannot be written, and the check finds it missing."""
    at = data
    for name in path[:-1]:
        inner = at.setdefault(str(name), {})
        if not isinstance(inner, dict):
            return
        at = inner
    at[str(path[-1])] = value


def _written(event: BaseModel) -> dict[str, Json]:
    cls = type(event)
    try:
        data = cls.__pydantic_serializer__.to_python(event, mode="json", by_alias=True, warnings=False)
    except Exception as broken:  # noqa: BLE001 -- a team's serializer may raise anything
        raise Unsayable(
            f"{cls.__qualname__} cannot be written as JSON ({type(broken).__name__}): a field holds a value that JSON "
            "cannot carry, or its serializer raised"
        ) from None
    if type(data) is not dict:
        raise Unsayable(f"{cls.__qualname__}: its serializer gives {type(data).__name__}; an event's data is an object")
    return data


def _check_read_again(event: BaseModel, data: bytes) -> None:
    cls = type(event)
    try:
        again = cls.__pydantic_validator__.validate_json(data, by_alias=True)
    except ValidationError as broken:
        places = "; ".join(f"{each.field or 'data'} ({each.kind})" for each in invalid_fields(broken)[:MAX_PLACES])
        raise Unsayable(f"{cls.__qualname__} would be said as data that it cannot read: {places}") from None
    except Exception as broken:  # noqa: BLE001 -- a team's validator may raise anything
        raise Unsayable(
            f"{cls.__qualname__} would be said as data on which its validator raises {type(broken).__name__}"
        ) from None
    for name in cls.model_fields:
        if not same(getattr(event, name), getattr(again, name)):
            raise Unsayable(
                f"{cls.__qualname__}.{name} would be heard as another value than it holds: it holds one of another "
                "type (model_copy and model_construct check nothing), or one that its validator or serializer changes"
            )


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same to a handler: equal, and of one type where they are models or containers."""
    if isinstance(left, BaseModel):
        return type(left) is type(right) and same(_parts(left), _parts(right))
    if isinstance(left, dict):
        return type(left) is type(right) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, datetime | time):  # one of a repeated hour equals no moment of another zone (PEP 495)
        return type(left) is type(right) and (left == right or left.isoformat() == right.isoformat())
    return bool(left == right)


def _parts(model: BaseModel) -> dict[str, Any]:
    return {**{name: getattr(model, name) for name in type(model).model_fields}, **(model.model_extra or {})}


def _fits(node: Node, definitions: Mapping[str, Node]) -> Fits | type:
    """The test for values of one node; the type itself, where that is the whole test."""
    if "serialization" in node or node.get("allow_inf_nan"):
        raise _Unsure
    match node["type"]:
        case kind if kind in _SAFE:
            return _SAFE[kind]
        case "enum" if all(type(each.value) in {str, int} for each in node["members"]) and "missing" not in node:
            return cast("type", node["cls"])
        case "literal" if all(type(each) in {str, int} for each in node["expected"]):
            allowed = [*map(_typed, node["expected"])]
            return lambda value: _typed(value) in allowed
        case "default":
            return _fits(node["schema"], definitions)
        case "nullable":
            inner = _test(_fits(node["schema"], definitions))
            return lambda value: value is None or inner(value)
        case "list":
            each = _test(_fits(node.get("items_schema", _ANY), definitions))
            return lambda value: type(value) is list and all(map(each, value))
        case "dict" if node.get("keys_schema", _ANY)["type"] == "str":
            of = _test(_fits(node.get("values_schema", _ANY), definitions))
            return lambda value: type(value) is dict and all(map(of, value.values())) and all(map(_is_text, value))
        case "model":
            return _model(node, definitions)
        case "definition-ref" if node["schema_ref"] in definitions:
            ref = node["schema_ref"]
            rest = {name: each for name, each in definitions.items() if name != ref}  # a model in itself: unsure
            return _fits(definitions[ref], rest)
        case _:
            raise _Unsure


def _typed(value: object) -> tuple[type, object]:
    return type(value), value


def _is_text(value: object) -> bool:
    return type(value) is str


def _test(fits: Fits | type) -> Fits:
    return (lambda value: type(value) is fits) if isinstance(fits, type) else fits


def _model(node: Node, definitions: Mapping[str, Node]) -> Fits:
    if node["type"] != "model" or "serialization" in node or node.get("post_init"):
        raise _Unsure
    if node["root_model"] or node["custom_init"] or node["schema"]["type"] != "model-fields":
        raise _Unsure
    config = node.get("config") or {}
    if any(each not in _SAFE_CONFIG and (each, config[each]) != _OWN_CONFIG for each in config):
        raise _Unsure
    if config.get("extra_fields_behavior") == "allow" or "serialization" in node["schema"]:
        raise _Unsure
    cls, types, tests = node["cls"], dict[str, type](), dict[str, Fits]()
    for name, field in node["schema"]["fields"].items():
        if "serialization_exclude_if" in field:
            raise _Unsure
        fits = _fits(field["schema"], definitions)
        if isinstance(fits, type):
            types[name] = fits
        else:
            tests[name] = fits
    names, wanted, others = list(types), list(types.values()), list(tests.items())

    def test(value: Any) -> bool:
        if type(value) is not cls:
            return False
        held = value.__dict__
        return [type(held[name]) for name in names] == wanted and all(fits(held[name]) for name, fits in others)

    def exact(value: Any) -> bool:
        return type(value) is cls and [*map(type, value.__dict__.values())] == wanted

    return test if others else exact

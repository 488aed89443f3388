"""Checks a model when its class is created: what it holds must survive JSON. Pure."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticUndefined

from hocket.errors import DeclarationError
from hocket.event_data.core_schema import Node, Place, places

#: Kinds of schema that JSON cannot fill, as an error names them.
_NO_JSON = {
    "callable": "a callable",
    "is-subclass": "a class",
    "generator": "an iterator, which is empty after it was read once; write list[…]",
    "is-instance": "a type that pydantic cannot read from JSON",
    "complex": "a complex number",
}


def check(model: type[BaseModel], *, said: bool) -> None:
    """Refuse a model whose data would not survive JSON; `said`: it is said, so what is written must be read again.

    Raises `DeclarationError`, which names the field and the way out.
    """
    if model.__pydantic_generic_metadata__["parameters"]:
        raise DeclarationError(
            f"{model.__qualname__}: an event is one type and cannot be generic; use the generic model in a field of it"
        )
    for place in places(model):
        for fault in (*_unreadable(place.node), *(_unsayable(place) if said else ())):
            where = ".".join((model.__qualname__, *place.path))
            raise DeclarationError(f"{where}: {fault}")
    if said:
        _check_defaults(model)


def _unreadable(node: Node) -> Iterator[str]:
    written = node.get("serialization", {}).get("function")
    if getattr(written, "__module__", "") == "pydantic.types" and "secret" in getattr(written, "__name__", ""):
        yield "SecretStr, SecretBytes and Secret show asterisks in place of the value, in JSON too: use Sensitive[str]"
    if node["type"] in _NO_JSON:
        yield f"this is {_NO_JSON[node['type']]}; use a type that JSON can carry"


def _unsayable(place: Place) -> Iterator[str]:
    node = place.node
    if node.get("serialization_exclude"):
        yield "exclude=True keeps it out of what is said, so nobody can read it; remove exclude, or the field"
    if node["type"] in {"model-fields", "typed-dict", "dataclass-args"}:
        yield from _names(node, place.model)
    if node["type"] == "model":
        config, fields = node.get("config") or {}, node["schema"]
        if config.get("extra_fields_behavior") == "forbid" and fields.get("computed_fields"):
            yield (
                f'{place.model} has extra="forbid" and a computed field, which is said and could not be read again; '
                "remove one of them"
            )


def _names(node: Node, model: str) -> Iterator[str]:
    """What each field is said as must be what it is read from, and nothing else may be said under that name."""
    fields: list[tuple[str, Node]] = (
        list(node["fields"].items())
        if isinstance(node["fields"], dict)
        else [(each["name"], each) for each in node["fields"]]
    )
    written = {name: each.get("serialization_alias", name) for name, each in fields}
    names = [*written.values(), *(each.get("alias", each["property_name"]) for each in node.get("computed_fields", ()))]
    for name in {each for each in names if names.count(each) > 1}:
        yield f"{model} has two fields that are said as {name!r}; give each its own alias"
    by_name = _reads_names(node)
    for name, each in fields:
        choices = _choices(each.get("validation_alias", name))
        if by_name and [name] not in choices:
            choices.append([name])
        found = next((choice for choice in choices if choice[0] in names), None)
        if found != [written[name]]:
            yield (
                f"{model}.{name} is said as {written[name]!r} and read from "
                f"{' or '.join('.'.join(map(str, choice)) for choice in choices)}; write Field(alias=…), which is both"
            )


def _reads_names(node: Node) -> bool:
    config = node.get("config") or {}
    return bool(config.get("populate_by_name") or config.get("validate_by_name"))


def _choices(alias: Any) -> list[list[str | int]]:
    """The paths in the data from which a field is read, in order."""
    if isinstance(alias, str):
        return [[alias]]
    if alias and not isinstance(alias[0], list):
        return [list(alias)]
    return [list(each) for each in alias]


def _check_defaults(model: type[BaseModel]) -> None:
    for name, info in model.model_fields.items():
        if info.default is PydanticUndefined:
            continue
        try:
            annotation: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
            TypeAdapter(annotation).validate_python(info.default)
        except ValidationError:
            raise DeclarationError(
                f"{model.__qualname__}.{name}: its default does not fit its type, so that nobody could read it; "
                "give another default, or allow it in the annotation"
            ) from None
        except PydanticUserError:  # a type that needs its model to be read
            continue

"""Walks the schema that pydantic has made of a model, node by node. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

#: The nodes that hold one field each.
FIELDS = frozenset({"model-field", "typed-dict-field", "dataclass-field"})
#: Keys of a node that hold no schema.
_NO_SCHEMA = frozenset({"metadata", "serialization", "config", "default", "expected", "members", "function"})

Node = Mapping[str, Any]


class Place(NamedTuple):
    """A node, the fields that lead to it, and the name of the model that it stands in."""

    path: tuple[str, ...]
    node: Node
    model: str


def definitions_of(model: type[BaseModel]) -> tuple[Node, dict[str, Node]]:
    """The schema of a model, and the definitions that it refers to."""
    return parts_of(model.__pydantic_core_schema__)


def parts_of(schema: Node) -> tuple[Node, dict[str, Node]]:
    """A schema without its definitions, and these by name."""
    if schema["type"] != "definitions":
        return schema, {}
    return schema["schema"], {each["ref"]: each for each in schema["definitions"]}


def places(model: type[BaseModel]) -> Iterator[Place]:
    """Every node of a model's schema that matters for JSON, each once."""
    schema, definitions = definitions_of(model)
    yield from _walk(schema, (), model.__qualname__, definitions, set())


def _walk(
    node: Node, path: tuple[str, ...], model: str, definitions: Mapping[str, Node], seen: set[str]
) -> Iterator[Place]:
    kind = node.get("type")
    if kind == "definition-ref":
        ref = node["schema_ref"]
        if ref not in seen and ref in definitions:
            seen.add(ref)
            yield from _walk(definitions[ref], path, model, definitions, seen)
        return
    if kind in {"model", "dataclass"}:
        model = node["cls"].__qualname__
    yield Place(path, node, model)
    if kind == "json-or-python":  # an event's data is always JSON
        yield from _walk(node["json_schema"], path, model, definitions, seen)
        return
    for key, value in node.items():
        if key in _NO_SCHEMA:
            continue
        for name, each in _children(value):
            further = (*path, name or each["name"]) if each.get("type") in FIELDS else path
            yield from _walk(each, further, model, definitions, seen)


def _children(value: object) -> Iterator[tuple[str, Node]]:
    """The nodes in one value of a node, with the key where they stand in a mapping."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield "", value
            return
        for name, each in value.items():
            for _, node in _children(each):
                yield str(name), node
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _children(each)

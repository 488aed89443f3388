"""What a model reads of JSON, as a tree made once of the schema that pydantic has of it. Pure."""

from collections.abc import Iterator, Mapping
from enum import Enum
from hashlib import blake2b
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, TypeAdapter

from hocket.event_data.core_schema import Node, parts_of

#: What JSON has, as `kind_of` names it.
TEXT, NUMBER, TRUTH, LIST, OBJECT, NULL = "text", "number", "truth", "list", "object", "null"
#: Digits of a tree's fingerprint.
FINGERPRINT_DIGITS = 12

_SCALARS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("str", "bytes", "date", "time", "datetime", "timedelta", "uuid"), frozenset({TEXT})),
    **dict.fromkeys(("url", "multi-host-url", "json"), frozenset({TEXT})),
    **dict.fromkeys(("int", "float"), frozenset({NUMBER})),
    "decimal": frozenset({NUMBER, TEXT}),
    "bool": frozenset({TRUTH}),
}
_LISTS = frozenset({"list", "set", "frozenset", "tuple", "generator"})
_FIELDS = frozenset({"model-fields", "typed-dict", "dataclass-args"})
#: Nodes around another one that change nothing of what JSON it reads.
_AROUND = frozenset({"model", "dataclass", "function-after", "default", "custom-error", "definitions"})
#: Nodes that hold one schema for JSON beside another for Python.
_FOR_JSON = {"json-or-python": "json_schema", "lax-or-strict": "strict_schema"}
#: Nodes in which a team's own code gets the value before pydantic does.
_OWN = frozenset({"function-before", "function-wrap"})


class Field:
    """One field of an object: what it reads, whether it must be there, and whether a `TypedDict` says it need not."""

    __slots__ = ("keys", "optional", "reads", "required")

    def __init__(self, keys: tuple[str, ...], reads: "Reads", *, required: bool, optional: bool) -> None:
        self.keys, self.reads, self.required, self.optional = keys, reads, required, optional


class Reads:
    """What is read at one place; without `kinds` and `choices` it is anything."""

    __slots__ = ("choices", "fields", "forbids", "items", "keys", "kinds", "nothing", "own", "rest", "tag", "values")

    def __init__(self, kinds: frozenset[str] = frozenset()) -> None:
        self.kinds = kinds
        self.nothing = False  # None is among what the annotation allows
        self.own = False  # a validator of the team gets the value first
        self.values: frozenset[tuple[type, Any]] | None = None  # of an enum or a literal
        self.fields: tuple[Field, ...] | None = None
        self.keys: Mapping[str, Reads] = {}  # by every name under which a field may come
        self.rest: Reads | None = None  # what other fields hold, or the items beyond `items`
        self.forbids = False  # other fields break the model
        self.items: tuple[Reads, ...] = ()
        self.choices: tuple[Reads, ...] = ()
        self.tag: tuple[str, Mapping[object, Reads]] | None = None

    @property
    def anything(self) -> bool:
        """Whether nothing can differ here."""
        return not self.kinds and not self.choices and self.tag is None


#: What reads JSON: a model, or an adapter of any annotation.
Reader = type[BaseModel] | TypeAdapter[Any]

_made: "WeakKeyDictionary[Any, Reads]" = WeakKeyDictionary()


def reads_of(reader: Reader) -> Reads:
    """What a model, or an adapter, reads; made once for each."""
    found = _made.get(reader)
    if found is None:
        schema = reader.core_schema if isinstance(reader, TypeAdapter) else reader.__pydantic_core_schema__
        root, definitions = parts_of(schema)
        found = _made[reader] = _Making(definitions).of(root)
    return found


def fingerprint_of(reads: Reads) -> str:
    """A short text that is another where the model reads something else."""
    return blake2b("\n".join(_lines(reads, set())).encode(), digest_size=FINGERPRINT_DIGITS // 2).hexdigest()


def _lines(reads: Reads, seen: set[int]) -> Iterator[str]:
    values = sorted(map(repr, reads.values)) if reads.values is not None else ""
    yield f"{sorted(reads.kinds)} {reads.nothing} {reads.own} {values} {reads.forbids}"
    if id(reads) in seen:
        return
    seen.add(id(reads))
    for field in sorted(reads.fields or (), key=lambda each: each.keys):
        yield f"{field.keys} {field.required}"
        yield from _lines(field.reads, seen)
    tagged = [each for _, each in sorted(reads.tag[1].items(), key=repr)] if reads.tag is not None else []
    for each in (*reads.items, *reads.choices, *tagged, *((reads.rest,) if reads.rest is not None else ())):
        yield "("
        yield from _lines(each, seen)
        yield ")"


class _Making:
    """Makes one tree."""

    def __init__(self, definitions: Mapping[str, Node]) -> None:
        self._definitions = definitions
        self._known: dict[str, Reads] = {}
        self._config: Mapping[str, Any] = {}  # of the model whose fields come next

    def of(self, node: Node) -> Reads:
        """What a node of the schema reads."""
        made = Reads()
        self._fill(made, node)
        return made

    def _fill(self, made: Reads, node: Node) -> None:
        kind = node["type"]
        if kind == "definition-ref":
            self._copy(made, node["schema_ref"])
        elif kind in _AROUND or kind in _OWN:
            made.own = made.own or kind in _OWN
            self._config = (node.get("config") or {}) if kind in {"model", "dataclass"} else self._config
            self._fill(made, node["schema"])
        elif kind == "nullable":
            made.nothing = True
            self._fill(made, node["schema"])
        elif kind == "none":
            made.nothing, made.kinds = True, frozenset({NULL})
        elif kind in _FOR_JSON:
            self._fill(made, node[_FOR_JSON[kind]])
        elif kind == "chain":
            self._fill(made, node["steps"][0])
        else:
            self._fill_kind(made, kind, node)

    def _fill_kind(self, made: Reads, kind: str, node: Node) -> None:
        if kind in _SCALARS:
            made.kinds = _SCALARS[kind]
        elif kind in {"literal", "enum"}:
            _fill_values(made, node["expected"] if kind == "literal" else node["members"])
        elif kind in _LISTS:
            self._fill_list(made, node)
        elif kind == "dict":
            made.kinds, made.rest = frozenset({OBJECT}), self.of(node.get("values_schema") or {"type": "any"})
        elif kind in _FIELDS:
            self._fill_fields(made, node)
        elif kind in {"union", "tagged-union"}:
            self._fill_choices(made, node)

    def _copy(self, made: Reads, ref: str) -> None:
        known = self._known.get(ref)
        if known is None:
            known = self._known[ref] = Reads()
            if ref in self._definitions:
                self._fill(known, self._definitions[ref])
        made.choices = (known,)  # one choice: filled by now, or while the model that holds itself is made

    def _fill_list(self, made: Reads, node: Node) -> None:
        made.kinds = frozenset({LIST})
        schema = node.get("items_schema")
        if isinstance(schema, list):
            beyond = node.get("variadic_item_index")
            each = [self.of(item) for item in schema]
            made.rest = each[beyond] if beyond is not None else None
            made.items = tuple(each if beyond is None else each[:beyond])
        elif schema is not None:
            made.rest = self.of(schema)

    def _fill_fields(self, made: Reads, node: Node) -> None:
        made.kinds = frozenset({OBJECT})
        of = node["fields"]
        named = of.items() if isinstance(of, dict) else ((each["name"], each) for each in of)
        config = node.get("config") or self._config
        self._config = {}
        by_name = config.get("populate_by_name") or config.get("validate_by_name")
        fields: list[Field] = []
        for name, each in named:
            schema = each["schema"]
            keys = dict.fromkeys(_keys_of(each.get("validation_alias", name)))
            required = each.get("required", not _has_default(schema))
            deep = _is_deep(each.get("validation_alias", name))
            reads = Reads() if deep else self.of(schema)
            names = (*keys, *((name,) if by_name and name not in keys else ()))
            optional = each.get("required") is False
            fields.append(Field(names, reads, required=required, optional=optional))
        made.fields = tuple(fields)
        made.keys = {key: each.reads for each in fields for key in each.keys}
        extra = node.get("extra_behavior") or config.get("extra_fields_behavior")
        made.forbids = extra == "forbid"
        if extra == "allow":
            made.rest = self.of(node.get("extras_schema") or {"type": "any"})

    def _fill_choices(self, made: Reads, node: Node) -> None:
        if node["type"] == "union":
            made.choices = tuple(self.of(each[0] if isinstance(each, tuple) else each) for each in node["choices"])
            made.nothing = made.nothing or any(each.nothing for each in made.choices)
        elif isinstance(node["discriminator"], str):
            by_tag = {_plain(tag): self.of(each) for tag, each in node["choices"].items() if isinstance(each, dict)}
            made.tag = (node["discriminator"], by_tag)
        else:
            made.choices = tuple(self.of(each) for each in node["choices"].values() if isinstance(each, dict))


def _has_default(node: Node) -> bool:
    while node["type"] in _AROUND or node["type"] in _OWN:
        if node["type"] == "default":
            return True
        node = node["schema"]
    return False


def _fill_values(made: Reads, values: list[Any]) -> None:
    plain = [_plain(each) for each in values]
    if not all(isinstance(each, str | int | float | bool | None) for each in plain):
        return  # an enum of something else: pydantic decides
    made.values = frozenset((type(each), each) for each in plain)
    made.kinds = frozenset(map(kind_of, plain))
    made.nothing = made.nothing or None in plain


def _plain(value: object) -> object:
    return _plain(value.value) if isinstance(value, Enum) else value


def _keys_of(alias: Any) -> Iterator[str]:
    """The names in the object from which a field is read; of a path its first."""
    if isinstance(alias, str):
        yield alias
        return
    for each in alias:
        first = each[0] if isinstance(each, list) else each
        if isinstance(first, str):
            yield first
        if not isinstance(each, list):  # one path, not several
            return


def _is_deep(alias: Any) -> bool:
    """Whether a field is read from within another one, so that what stands at its first name is another matter."""
    if isinstance(alias, str):
        return False
    return any(len(each) > 1 for each in (alias if isinstance(alias[0], list) else [alias]))


def kind_of(value: object) -> str:
    """What JSON has there."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, str):
        return TEXT
    if isinstance(value, int | float):
        return NUMBER
    return OBJECT if isinstance(value, Mapping) else LIST

"""Fields that identify something: those of a subject and of a scope (RULES 5.1). Pure.

They are of a few types whose values are equal exactly when their texts are.
"""

from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

#: The types, as an error names them.
TYPES_TEXT = "str, int, UUID, date, an Enum or Literal of str or int, or a NewType or Annotated of one of them"
_EXACT = frozenset({str, int, UUID, date})


def text_of(value: object) -> str:
    """The text of an identifying value: of an Enum that of its value."""
    return text_of(value.value) if isinstance(value, Enum) else str(value)


def is_exact(annotation: Any) -> bool:
    """Whether values of this annotation identify something exactly."""
    if hasattr(annotation, "__supertype__"):
        return is_exact(annotation.__supertype__)
    if (meant := getattr(annotation, "__value__", None)) is not None and not isinstance(annotation, type):
        return is_exact(meant)
    if get_origin(annotation) is Annotated:
        return is_exact(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return _alike([text if not isinstance(text, Enum) else text.value for text in get_args(annotation)])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _alike([each.value for each in annotation])
    return annotation in _EXACT


def _alike(values: list[object]) -> bool:
    """Whether all are str or all int: a mixture could have two values with one text."""
    kinds = {type(value) for value in values}
    return kinds in ({str}, {int})


def fault_of(info: FieldInfo) -> str:
    """Why the values of a field do not identify anything, "" where they do."""
    if is_exact(info.annotation):
        return ""
    shown = info.annotation.__name__ if isinstance(info.annotation, type) else str(info.annotation)
    return f"is {shown}, which may be missing or have equal values that look different; use {TYPES_TEXT}"


def reads_alike(one: type[BaseModel], other: type[BaseModel], name: str, ignored: object) -> bool:
    """Whether two models read a field in the same way: annotation, constraints and validators.

    `ignored` is metadata that changes no value.
    """
    return _reading(one, name, ignored) == _reading(other, name, ignored)


def _reading(model: type[BaseModel], name: str, ignored: object) -> tuple[object, ...]:
    info = model.model_fields[name]
    validators = [
        getattr(each.func, "__func__", each.func)
        for each in model.__pydantic_decorators__.field_validators.values()
        if name in each.info.fields or "*" in each.info.fields
    ]
    return info.annotation, [each for each in info.metadata if each != ignored], validators

"""A team's own settings: which variables they read, and one sentence where one is missing or invalid.

A sentence names variables and causes, never a value: a value may be a secret.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeGuard, TypeVar, get_args, get_origin

from pydantic import AliasChoices, BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsError

from hocket.config import PREFIX
from hocket.errors import ConfigError, DeclarationError
from hocket.event_data.invalid_fields import invalid_fields

S = TypeVar("S", bound=BaseModel)

#: Invalid variables that one sentence names.
MAX_NAMED = 20
#: What a variable of a type holds, in words; a variable of the others is JSON.
_KINDS: Mapping[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path",
    SecretStr: "a text, which is kept secret",
}  # fmt: skip
_JSON = frozenset({list, dict, tuple, set, frozenset})


def check_settings(where: str, settings: object) -> None:
    """Refuse a class that reads no environment, or one that reads the kit's variables. Raises `DeclarationError`."""
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise DeclarationError(f"{where}: settings= takes a pydantic model's class, not {settings!r}")
    if not issubclass(settings, BaseSettings):
        raise DeclarationError(
            f"{where}: {settings.__name__} is a plain model, which reads no environment; let it inherit from "
            "pydantic_settings.BaseSettings"
        )
    for name in settings.model_fields:
        if (variable := variable_of(settings, name)).startswith(PREFIX):
            raise DeclarationError(
                f"{where}: {settings.__name__} reads {variable}, and {PREFIX}… are the kit's own settings; give the "
                "class another env_prefix"
            )


def variable_of(model: type[BaseModel], name: str) -> str:
    """The environment variable that a field reads, in capitals; of several the first."""
    config: Mapping[str, Any] = model.model_config
    alias = model.model_fields[name].validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    named = next((each for each in choices if isinstance(each, str)), f"{config.get('env_prefix') or ''}{name}")
    return named.upper()


def read(service: str, model: type[S]) -> S:
    """The settings from the environment. `ConfigError` names every variable that is missing or invalid, and why."""
    try:
        return model()
    except ValidationError as error:
        sentence = f"service {service}: {refusal(error, model)}"
    except SettingsError:
        sentence = f"service {service}: {_refusal_of_unparsed(model)}"
    raise ConfigError(sentence)  # outside the handler: the cause quotes values


def refusal(error: ValidationError | SettingsError, model: type[BaseModel] | None = None) -> str:
    """What is wrong with which variable; of a `model` that is not known, with which field."""
    if isinstance(error, SettingsError):
        found = re.search(r'field "(\w+)"', str(error))
        name = found.group(1) if found else "a setting"
        return f"{_named(model, (name,)) if found else name} cannot be parsed: write JSON"
    return "; ".join(_sentences(error, model))


def _refusal_of_unparsed(model: type[BaseModel]) -> str:
    """What is wrong where a variable is no JSON: it ends the reading at once, so the others are read without it."""
    unparsed: list[str] = []

    class WithoutJson(model):  # type: ignore[misc, valid-type]  # the team's own class
        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **sources: Any) -> Any:
            for each in sources.values():
                if (decode := getattr(each, "decode_complex_value", None)) is not None:
                    each.decode_complex_value = partial(_raw, decode, unparsed)
            return super().settings_customise_sources(settings_cls, **sources)

    sentences = []
    try:
        WithoutJson()
    except ValidationError as error:
        sentences = list(_sentences(error, model, frozenset(unparsed)))
    named = [f"{_named(model, (each,))} cannot be parsed: write JSON" for each in dict.fromkeys(unparsed)]
    return "; ".join([*named, *sentences])


def _raw(decode: Callable[..., Any], unparsed: list[str], name: str, field: Any, value: Any) -> Any:
    try:
        return decode(name, field, value)
    except ValueError:
        unparsed.append(name)
        return value


def _sentences(
    error: ValidationError, model: type[BaseModel] | None, unparsed: frozenset[str] = frozenset()
) -> Iterator[str]:
    found = [each for each in invalid_fields(error) if not each.place or each.place[0] not in unparsed]
    for each in found[:MAX_NAMED]:
        name = _named(model, each.place) or "the settings together"
        wanted = expected(model, each.place)
        if each.kind == "missing":
            yield f"{name} is missing: set it{wanted and f' to {wanted}'}"
        elif each.own_text:
            yield f"{name} is not valid{wanted and f': the check of its class refuses it, expected is {wanted}'}"
        else:
            yield f"{name} is not valid: {each.text[:1].lower()}{each.text[1:]}"
    if len(found) > MAX_NAMED:
        yield f"and {len(found) - MAX_NAMED} more"


def expected(model: type[BaseModel] | None, loc: tuple[int | str, ...]) -> str:
    """What a variable is to hold, in words, with the field's description; "" where the field is not known."""
    field = None
    for part in loc:
        field = model.model_fields.get(str(part)) if model is not None else None
        if field is None:
            return ""
        model = field.annotation if is_model(field.annotation) else None
    if field is None:
        return ""
    return _kind(field.annotation) + (f" ({field.description})" if field.description else "")


def is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Whether a field's annotation is a model itself."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        *others, last = map(str, get_args(annotation))
        return f"{', '.join(others)} or {last}" if others else last
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _kind(Literal[tuple(each.value for each in annotation)])
    if annotation in _KINDS:
        return _KINDS[annotation]
    if is_model(annotation) or get_origin(annotation) in _JSON or annotation in _JSON:
        return "JSON"
    return f"a value for {getattr(annotation, '__name__', annotation)}"


def _named(model: type[BaseModel] | None, loc: tuple[int | str, ...]) -> str:
    if model is None or not loc:
        return ".".join(map(str, loc))
    first, *rest = (str(part) for part in loc)
    delimiter = model.model_config.get("env_nested_delimiter")
    name = variable_of(model, first) if first in model.model_fields else first.upper()
    joint = str(delimiter) if delimiter else "."
    return joint.join([name, *(part.upper() if delimiter else part for part in rest)])

"""A team's own settings: which variables they read, and one sentence where one is missing or invalid.

A sentence names variables and causes, never a value: a value may be a secret.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_settings import BaseSettings, SettingsError

from hocket.config import PREFIX
from hocket.errors import ConfigError, DeclarationError
from hocket.event_data.invalid_fields import invalid_fields

S = TypeVar("S", bound=BaseModel)

#: Invalid variables that one sentence names.
MAX_NAMED = 20


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
    """The settings from the environment. `ConfigError` names each variable that is missing or invalid, and why."""
    try:
        return model()
    except (ValidationError, SettingsError) as error:
        sentence = f"service {service}: {refusal(error, model)}"
    raise ConfigError(sentence)  # outside the handler: the cause quotes values


def refusal(error: ValidationError | SettingsError, model: type[BaseModel] | None = None) -> str:
    """What is wrong with which variable; of a `model` that is not known, with which field."""
    if isinstance(error, SettingsError):
        found = re.search(r'field "(\w+)"', str(error))
        name = found.group(1) if found else "a setting"
        return f"{_named(model, (name,)) if found else name} cannot be parsed: write JSON"
    return "; ".join(_sentences(error, model))


def _sentences(error: ValidationError, model: type[BaseModel] | None) -> Iterator[str]:
    found = invalid_fields(error)
    for each in found[:MAX_NAMED]:
        name = _named(model, each.place) or "the settings together"
        if each.kind == "missing":
            yield f"{name} is missing: set it"
        elif each.own_text:
            yield f"{name} is not valid"
        else:
            yield f"{name} is not valid: {each.text[:1].lower()}{each.text[1:]}"
    if len(found) > MAX_NAMED:
        yield f"and {len(found) - MAX_NAMED} more"


def _named(model: type[BaseModel] | None, loc: tuple[int | str, ...]) -> str:
    if model is None or not loc:
        return ".".join(map(str, loc))
    first, *rest = (str(part) for part in loc)
    delimiter = model.model_config.get("env_nested_delimiter")
    name = variable_of(model, first) if first in model.model_fields else first.upper()
    joint = str(delimiter) if delimiter else "."
    return joint.join([name, *(part.upper() if delimiter else part for part in rest)])

"""Turns the arguments of a command into services and settings."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from hocket.assembly.unknown_variables import unknown
from hocket.config import Config
from hocket.declarations.team_settings import refusal
from hocket.errors import ConfigError
from hocket.service import Service

HIGHEST_PORT = 65_535


class ReadsAtImport(ConfigError):
    """A module reads settings when it is imported, and they are missing or invalid."""


@dataclass(frozen=True, slots=True)
class Target:
    """A module with a service, and the port to listen on; None: that of `HOCKET_HTTP_PORT`."""

    module: str
    port: int | None = None


def parse(text: str) -> Target:
    """Parse `MODULE` or `MODULE:PORT`. Raises `ConfigError`."""
    module, colon, number = text.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"{text!r} does not name a module; write MODULE or MODULE:PORT, as in services.orders:8002")
    if not colon:
        return Target(module)
    if not (number.isascii() and number.isdigit()) or int(number[:9]) > HIGHEST_PORT:
        raise ConfigError(
            f"{text!r}: {number!r} is not a port; write a number from 0 to {HIGHEST_PORT}, 0 for a free one"
        )
    return Target(module, int(number))


def load(module: str) -> Service[Any]:
    """Import `module`, from the current folder first, and return its service.

    Raises `ConfigError` if there is no such module or no single service in it, `DeclarationError` for an invalid
    declaration.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found, invalid = None, ""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module == missing or module.startswith(f"{missing}."):
            raise ConfigError(f"there is no module {missing} in {here} or on Python's path; check the name") from error
        raise ConfigError(
            f"{module} imports {missing}, which is not installed; install it, or correct the import"
        ) from error
    except (ValidationError, SettingsError) as error:
        invalid = f"{module} reads settings when it is imported: {refusal(error)}"
    if invalid:
        raise ReadsAtImport(invalid)  # outside the handler: the cause quotes values
    services = {id(value): (name, value) for name, value in vars(found).items() if isinstance(value, Service)}
    if len(services) == 1:
        return next(iter(services.values()))[1]
    named = vars(found).get(module.rpartition(".")[2])
    if isinstance(named, Service):
        return named
    if not services:
        raise ConfigError(
            f"{module} has no Service; import it there, as services/orders/__init__.py does with `orders`"
        )
    names = ", ".join(sorted(name for name, _ in services.values()))
    raise ConfigError(f"{module} has several services ({names}); name the module of one of them")


def settings() -> Config:
    """The kit's settings from the environment; `ConfigError` names each variable and what is wrong with it.

    What is no setting is named on stderr.
    """
    name_unknown()
    return Config.read()


def name_unknown() -> None:
    """Name on stderr each `HOCKET_…` variable that is no setting."""
    for sentence in unknown():
        click.echo(f"hocket: {sentence}", err=True)

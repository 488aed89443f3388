"""From what stands on the command line to services and settings."""

import importlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hocket.config import Config, unknown
from hocket.errors import ConfigError
from hocket.service import Service

HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """A module that has a service, and the port it shall listen on; None: the one of `HOCKET_HTTP_PORT`."""

    module: str
    port: int | None = None


def parse(text: str) -> Target:
    """`MODULE` or `MODULE:PORT`. `ConfigError` says what is wrong with it."""
    module, colon, number = text.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"{text!r} names no module: write MODULE or MODULE:PORT, as services.orders:8002")
    if not colon:
        return Target(module)
    if not (number.isascii() and number.isdigit()) or int(number[:9]) > HIGHEST_PORT:
        raise ConfigError(f"{text!r}: {number!r} is no port; write a number from 0 to {HIGHEST_PORT}, 0 for a free one")
    return Target(module, int(number))


def load(module: str) -> Service[Any]:
    """Import `module` (the present folder is looked in first) and return its one service.

    `ConfigError` where there is no such module or no service in it; `DeclarationError` where a declaration cannot be
    meant.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module == missing or module.startswith(f"{missing}."):
            raise ConfigError(f"there is no module {missing}: looked in {here} and where Python looks") from error
        raise ConfigError(f"{module} imports {missing}, which is not there: install it, or mend the import") from error
    services = {id(value): (name, value) for name, value in vars(found).items() if isinstance(value, Service)}
    if len(services) == 1:
        return next(iter(services.values()))[1]
    named = vars(found).get(module.rpartition(".")[2])
    if isinstance(named, Service):
        return named
    if not services:
        raise ConfigError(f"{module} has no Service: expose it there, as `orders` in services/orders/__init__.py")
    names = ", ".join(sorted(name for name, _ in services.values()))
    raise ConfigError(f"{module} has several services ({names}): name the module of one of them")


def settings(services: Iterable[Service[Any]] | None = None) -> Config:
    """The kit's settings from the environment; `ConfigError` names the variable and what is wrong with it.

    What is no setting is named on stderr; with the services that run, what their own settings read is none of that.
    """
    models = None if services is None else [each.settings for each in services if each.settings is not None]
    for sentence in unknown(models):
        click.echo(f"hocket: {sentence}", err=True)
    return Config.read()

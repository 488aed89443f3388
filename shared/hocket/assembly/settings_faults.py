"""Reads all settings of a process, the kit's and its services' own, and names all that is wrong with them at once."""

from collections.abc import Iterator, Sequence
from typing import Any

from hocket.assembly import drivers
from hocket.config import Config, has_pseudonym_key
from hocket.declarations import team_settings
from hocket.errors import ConfigError
from hocket.event import no_key
from hocket.service import Service
from hocket.worker.webhooks.room import secrets_of


def read(services: Sequence[Service[Any]], found: Sequence[str] = ()) -> Config:
    """The kit's settings, where nothing is missing or invalid for these services.

    `found` are faults that are known already. `ConfigError` names every variable that is missing or invalid, what is
    expected of it, and never a value that may be a secret.
    """
    config, faults = None, list(found)
    try:
        config = Config.read()
    except ConfigError as error:
        faults.append(str(error))
    if config is not None:
        faults += drivers.faults(config)
    keyed = has_pseudonym_key() if config is None else bool(config.pseudonyms())
    for service in services:
        faults += faults_of(service, keyed=keyed)
    if config is None or faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    return config


def check(service: Service[Any], config: Config) -> None:
    """Refuse one service whose settings are missing or invalid, before anything of it begins. Raises `ConfigError`."""
    if faults := list(faults_of(service, keyed=bool(config.pseudonyms()))):
        raise ConfigError("; ".join(faults))


def faults_of(service: Service[Any], *, keyed: bool) -> Iterator[str]:
    """What is wrong with the settings of one service; `keyed`: whether there is a key of pseudonyms."""
    if service.settings is not None:
        try:
            team_settings.read(service.name, service.settings)
            secrets_of(service.webhooks)
        except ConfigError as error:
            yield str(error)
    if keyed:
        return
    for event in service.declarations.says.values():
        if event.__hocket_pseudonyms__:
            yield f"service {service.name} says {event.__hocket_type__}: {no_key(event)}"

"""`hocket topology`: prints services' broker objects as a definitions file; shows and removes leftovers."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import click
from click.exceptions import Exit

from hocket.broker.leftovers import Leftover, leftovers
from hocket.cli.targets import load, parse, settings
from hocket.cli.text_table import shown
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.service import Service

#: Exit status if leftovers remain.
NOT_SO = 1


@click.command()
@click.argument(
    "modules", nargs=-1, required=True, metavar="MODULE...", help="Modules with a service, as services.orders."
)
@click.option("--unheard", is_flag=True, help="Show leftovers, and remove nothing.")
@click.option("--prune", is_flag=True, help="Remove leftovers; a queue only if it is empty and has no consumer.")
def topology(modules: tuple[str, ...], unheard: bool, prune: bool) -> None:
    """Print a RabbitMQ definitions file, or show and remove leftovers.

    The file has the queues, exchanges and bindings of these services. Leftovers are queues and bindings on the broker
    that the services no longer declare.
    """
    services = _services(modules)
    config = settings()
    if unheard or prune:
        if asyncio.run(_show_leftovers(services, config, prune)):
            raise Exit(NOT_SO)
        return
    from hocket.assembly.drivers import definitions

    click.echo(json.dumps(definitions(services, config), indent=2))


def _services(modules: Sequence[str]) -> list[Service[Any]]:
    """The services of these modules. Raises `DeclarationError` and `ConfigError`."""
    found: dict[str, Service[Any]] = {}
    for text in modules:
        service = load(parse(text).module)
        service.complete()
        if service.name in found:
            raise ConfigError(f"service {service.name} is named twice; name it once")
        found[service.name] = service
    return list(found.values())


async def _show_leftovers(services: Sequence[Service[Any]], config: Config, prune: bool) -> int:
    """Print each leftover and, with `prune`, remove it; returns how many remain."""
    from hocket.assembly.drivers import broker_admin
    from hocket.broker.port import BrokerAdmin

    async def remove(there: BrokerAdmin, each: Leftover) -> str:
        if each.queue:
            return await there.remove(each.queue, each.bindings)
        for binding in each.bindings:
            await there.unbind(binding)
        return ""

    remaining = shown_count = 0
    async with broker_admin(config) as there:
        found = await there.found()
        for service in services:
            declared = service.declarations
            for each in leftovers(service.name, declared.topology(), declared.former_queues, found):
                shown_count += 1
                left = await remove(there, each) if prune else _later(each)
                remaining += not prune or bool(left)
                click.echo(shown(f"{_named(each)}: {each.why}; {left or 'removed'}"))
    if not shown_count:
        click.echo("There are no leftovers.")
    return remaining


def _later(each: Leftover) -> str:
    return "--prune removes it once it is empty and has no consumer" if each.queue else "--prune removes it"


def _named(each: Leftover) -> str:
    if each.queue:
        return f"queue {each.queue}"
    [binding] = each.bindings
    return f"binding {binding.source} -> {binding.destination} ({binding.key})"

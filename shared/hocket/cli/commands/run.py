"""`hocket run`: runs services in this process until SIGTERM or SIGINT."""

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from hocket.cli.targets import ReadsAtImport, Target, load, name_unknown, parse
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.service import Service


@click.command()
@click.argument(
    "modules",
    nargs=-1,
    required=True,
    metavar="MODULE[:PORT]...",
    help="Modules with a service and its HTTP port, as services.orders:8002; the port defaults to HOCKET_HTTP_PORT.",
)
def run(modules: tuple[str, ...]) -> None:
    """Run services until SIGTERM or SIGINT.

    Where settings are missing or invalid, one error names all of them, the kit's and the services' own.
    """
    targets = [parse(text) for text in modules]
    services, faults = [], []
    for target in targets:
        try:
            services.append(load(target.module))
        except ReadsAtImport as error:
            faults.append(str(error))
    name_unknown()
    from hocket.assembly.settings_faults import read

    config = read(services, faults)
    ports = [port for _, port in with_ports(targets, config)]
    names = [service.name for service in services]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"service {name} is named twice; a process runs it once, so name it once")
    try:
        asyncio.run(_run(list(zip(services, ports, strict=True)), config))
    except SystemExit as error:  # of a task that a handler or a request has started; 0 would look like a stop
        raise ConfigError(f"a task of these services called sys.exit({error.code!r}): the process has ended") from error


def with_ports(targets: Sequence[Target], config: Config) -> list[tuple[Target, int]]:
    """Each target with its port. Raises `ConfigError` if two would listen on the same one."""
    found: list[tuple[Target, int]] = []
    taken: dict[int, str] = {}
    for target in targets:
        port = config.http_port if target.port is None else target.port
        if port and port in taken:
            raise ConfigError(
                f"{taken[port]} and {target.module} would both listen on port {port}; give each its own, MODULE:PORT"
            )
        taken[port] = target.module
        found.append((target, port))
    return found


async def _run(services: list[tuple[Service[Any], int]], config: Config) -> None:
    from hocket.assembly.run import run as run_until_asked

    await run_until_asked(services, config)

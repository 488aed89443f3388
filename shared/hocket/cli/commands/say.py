"""`hocket say`: publishes one event, as the service itself would have said it."""

import asyncio
import json
import random
import sys
from typing import Any, NamedTuple

import click
from click.exceptions import Exit
from pydantic import ValidationError

from hocket.broker.port import Verdict
from hocket.broker.topology import routing_key
from hocket.cli.targets import load, parse, settings
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.declarations.choreography import Declarations
from hocket.envelope.ids import Ids
from hocket.errors import ConfigError, TransportError, Unsayable
from hocket.event import Event
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.service import Service
from hocket.telemetry.logs import quiet
from hocket.telemetry.signals import Signals

#: Exit status if the broker did not confirm the event.
NOT_SO = 1
#: Seconds for connecting, publishing and the broker's confirm together.
BROKER_SECONDS = 15.0
#: Stands for standard input.
STDIN = "-"


@click.command()
@click.argument("module", metavar="MODULE", help="The module of the service that says the event, as services.orders.")
@click.argument(
    "type_",
    metavar="TYPE",
    help="The event's type, as order.placed; with a version for an older one, as order.placed.v1.",
)
@click.argument("data", metavar="DATA", help="The event's fields as a JSON object; - reads it from standard input.")
@click.option("--flow", default="", metavar="ID", help="Correlation id of the event's flow; default: a new flow.")
@click.option("--key", default="", metavar="KEY", help="Idempotency: the same key in the same flow is handled once.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def say(module: str, type_: str, data: str, flow: str, key: str, as_json: bool) -> None:
    """Publish one event of a service, and wait for its confirm."""
    if key and not flow:
        raise click.BadParameter("--key counts within a flow; give --flow too")
    service = load(parse(module).module)
    service.complete()
    config = settings()
    event = _event(service.declarations, type_, _read(config.max_event_bytes) if data == STDIN else data)
    try:
        said = asyncio.run(publish(service, event, config, flow=flow, key=key))
    except Unsayable as error:
        raise ConfigError(str(error)) from error
    except TransportError as error:
        click.echo(f"hocket: {error}", err=True)
        raise Exit(NOT_SO) from error
    if as_json:
        click.echo(json.dumps({"id": said.event_id, "subject": said.subject, "flow": said.flow}, indent=2))
    else:
        click.echo(f"Said {said.event_id} about {said.subject} in flow {said.flow}.")


def _read(most: int) -> str:
    """Standard input, at most `most` characters. Raises `ConfigError` if there are more."""
    text = sys.stdin.read(most + 1)
    if len(text) > most:
        raise ConfigError(f"standard input has more than {most} bytes; send less, or raise HOCKET_MAX_EVENT_BYTES")
    return text


def _event(declared: Declarations, type_: str, data: str) -> Event:
    """The event. Raises `ConfigError` if the service does not declare it, or for invalid data."""
    dotted = {routing_key(*name): model for name, model in sorted(declared.says.items())}
    newest = {name: model for (name, _), model in sorted(declared.says.items())}
    model = dotted.get(type_) or newest.get(type_)
    if model is None:
        known = ", ".join(dotted) or "nothing"
        raise ConfigError(f"{declared.service} does not say {type_}; it says {known}")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise ConfigError(f"{type_}: the data is not JSON: write the event's fields as a JSON object") from error
        at = ".".join(str(part) for part in first["loc"]) or "the data"
        raise ConfigError(f"{type_}: {at}: {first['msg'].lower()}") from error


class Said(NamedTuple):
    """The event that was published."""

    event_id: str
    subject: str
    flow: str


async def publish(service: Service[Any], event: Event, config: Config, *, flow: str = "", key: str = "") -> Said:
    """Publish one event as `service` would have said it, without its database (RULES 4.7).

    With a `key`, subscriptions handle the event once for each flow, however often it is published. Raises `Unsayable`
    for an event that is undeclared or too large, `ConfigError` if no broker answers, `TransportError` if it does not
    confirm the event.
    """
    from hocket.assembly import drivers

    if drivers.in_memory(config):
        raise ConfigError("HOCKET_BROKER_URL is memory://, a broker inside one process; give the address of a RabbitMQ")
    clock, declared, chance = SystemClock(), service.declarations, random.SystemRandom()
    ids = Ids(clock, chance)
    flow = flow or ids.uuid7()
    builder = OutboxBuilder(
        service.name, ids, clock, Signals(), config.max_event_bytes, config.pseudonyms(), declared.older
    )
    cause = Causation((f"/{service.name}", "", key) if key else None, service.name, flow)
    rows = builder.rows([event], cause, declared.says)
    quiet()  # what the client logs of a broker that is away is in the error
    transport = drivers.transport(service.name, config, None)
    try:
        await transport.open()
        async with asyncio.timeout(BROKER_SECONDS):
            await transport.until_ready()
            answers = await transport.publish([row.message for row in rows])
    except TimeoutError as error:
        raise ConfigError(
            f"nothing was published: {transport.link().reason or 'the broker does not answer'}"
        ) from error
    finally:
        await transport.close()
    for answer in answers:
        if answer.verdict is not Verdict.CONFIRMED:
            way_out = (
                "give the user the right to write there (docs/security.md), then repeat the command"
                if "ACCESS_REFUSED" in answer.reason
                else "start a service on this broker once, which declares the exchanges, then repeat the command"
            )
            reason = answer.reason or "no reason given"
            raise TransportError(f"{rows[0].message.type} is {answer.verdict.value}: {reason}; {way_out}")
    return Said(rows[0].event_id, rows[0].subject, flow)

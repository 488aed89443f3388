"""`hocket breaker`: lists the breakers of a service, holds one open, closes it again (RULES 6.7)."""

import json
import random
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import click
from click.exceptions import Exit

from hocket.cli.click_types import Commands
from hocket.cli.commands.outbox import moment
from hocket.cli.operator_client import operate, person
from hocket.cli.targets import load, parse, settings
from hocket.cli.text_table import shown, table
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.envelope.ids import Ids
from hocket.outbox.builder import OutboxBuilder
from hocket.service import Service
from hocket.store.port import Store
from hocket.telemetry.signals import Signals
from hocket.worker.breaker_sync import BreakerSpeaker, command, least_period
from hocket.worker.http.operator import CommandRefused

#: Exit status where the service has no such breaker.
NOT_SO = 1

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")

_module = click.argument("module", metavar="MODULE", help="The module of the service, as services.payments.")
_name = click.argument("name", metavar="NAME", help="The breaker's name, as in Breaker('card-api', ...).")
_reason = click.option("--reason", required=True, help="Why; kept with the breaker and said with its change.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Span(click.ParamType[timedelta]):
    """A time as people write it: 90s, 30m, 2h, 1d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The time. Raises `click.BadParameter`."""
        found = _SPAN.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is not a time; write 90s, 30m, 2h or 1d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.group(cls=Commands)
def breaker() -> None:
    """List breakers, hold one open, close it again."""


@breaker.command("list")
@_module
@_as_json
def list_(module: str, as_json: bool) -> None:
    """List the breakers that a service has used."""
    _run(module, {"do": "list"}, as_json)


@breaker.command("open")
@_module
@_name
@_reason
@click.option("--for", "span", type=Span(), default=None, metavar="TIME", help="Only for so long, as 2h.")
@_as_json
def open_(module: str, name: str, reason: str, span: timedelta | None, as_json: bool) -> None:
    """Hold a breaker open, until it is closed by hand or the time is over."""
    seconds = span.total_seconds() if span is not None else None
    _run(module, {"do": "open", "name": name, "reason": reason, "by": person(), "seconds": seconds}, as_json)


@breaker.command()
@_module
@_name
@_reason
@click.option("--now", is_flag=True, help="At once and for all calls, without trying a few first.")
@_as_json
def close(module: str, name: str, reason: str, now: bool, as_json: bool) -> None:
    """Close a breaker: first a few calls try, then more and more."""
    _run(module, {"do": "close", "name": name, "reason": reason, "by": person(), "now": now}, as_json)


def _run(module: str, asked: Mapping[str, Any], as_json: bool) -> None:
    service, config = load(parse(module).module), settings()
    try:
        answer = operate(service.name, config, "breaker", asked, partial(_alone, service, config, asked))
    except CommandRefused as refused:
        click.echo(json.dumps({"error": str(refused)}) if as_json else f"hocket: {shown(refused)}", err=not as_json)
        raise Exit(NOT_SO) from refused
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    rows = answer["breakers"]
    if not rows:
        click.echo("No breaker was used yet.")
        return
    head = ("BREAKER", "STATE", "SINCE", "FOR ANOTHER", "BY", "REASON")  # the last one is never cut
    click.echo(table(head, [_row(each) for each in rows]))


def _row(each: Mapping[str, Any]) -> tuple[object, ...]:
    seconds = each["seconds"]
    left = "until it is closed" if seconds is None else f"{seconds:.0f} s" if seconds else ""
    since = moment(each["since"]) if each["since"] else ""
    return (each["name"], each["state"], since, left, each["by"], each["reason"])


async def _alone(service: Service[Any], config: Config, asked: Mapping[str, Any], store: Store) -> Mapping[str, Any]:
    """The command on the store itself: the service finds the row and what is said as if a replica had done it."""
    clock = SystemClock()
    builder = OutboxBuilder(
        service.name, Ids(clock, random.SystemRandom()), clock, Signals(), config.max_event_bytes, config.pseudonyms(),
        service.declarations.older,
    )  # fmt: skip
    speaker = BreakerSpeaker(service.declarations, builder)

    async def change(name: str, decide: Any) -> None:
        await store.breakers.decide(name, decide, speaker.ending)

    return await command(store, asked, change, least_period(store, config.owner_renew_seconds))

"""`hocket timers`: shows, cancels and moves what waits for its time: time-outs, scheduled events and retries."""

import json
import re
from collections.abc import Mapping
from typing import Any

import click
from click.exceptions import Exit

from hocket.cli.click_types import Within
from hocket.cli.operator_client import operate, person
from hocket.cli.targets import settings
from hocket.cli.text_table import table
from hocket.worker.http.operator import CommandRefused
from hocket.worker.http.timers_command import MOST_ROWS, TimersCommand

#: Exit status where the answer is no.
NOT_SO = 1
KINDS = ("timeout", "scheduled", "retry")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class FromNow(click.ParamType[float]):
    """A time from now: 90s, 15m, 2h, 3d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds."""
        if isinstance(value, float):
            return value
        found = _TIME.fullmatch(str(value))
        if found is None:
            self.fail(f"{value} is not a time; give a number with its unit: 90s, 15m, 2h, 3d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.group()
def timers() -> None:
    """Show, cancel and move what waits for its time."""


@timers.command("list")
@click.argument("service")
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.option("--subscription", default="", help="Only those of this subscription, as shop.unpaid.")
@click.option("--subject", default="", help="Only those about this subject.")
@click.option("--type", "type_", default="", help="Only those of this type of event.")
@click.option("--limit", type=Within(1, MOST_ROWS), default=50, show_default=True, help="Show at most this many rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(
    service: str, kind: str | None, subscription: str, subject: str, type_: str, limit: int, as_json: bool
) -> None:
    """Show what waits, the earliest first."""
    body = {"kind": kind, "subscription": subscription, "subject": subject, "type": type_, "limit": limit}
    waiting = _run(service, {"do": "list", **body})["waiting"]
    if as_json:
        click.echo(json.dumps(waiting, indent=2))
    elif not waiting:
        click.echo("Nothing waits.")
    else:
        head = ("KIND", "ID", "SUBSCRIPTION", "SUBJECT", "EVENT", "SCOPE", "STATE", "N", "DUE IN")
        names = ("kind", "id", "subscription", "subject", "type", "scope", "state", "n")
        click.echo(table(head, [(*(each[name] for name in names), f"{round(each['due_in'])} s") for each in waiting]))


@timers.command()
@click.argument("service")
@click.argument("id")
@click.option("--reason", required=True, help="Why; the row keeps it with your name.")
def cancel(service: str, id: str, reason: str) -> None:
    """End a time-out as if it was answered, or do not say a scheduled event."""
    done = _run(service, {"do": "cancel", "id": id, "by": person(), "reason": reason})["cancelled"]
    click.echo(f"{done['kind']} {done['id']} is cancelled.")


@timers.command()
@click.argument("service")
@click.argument("id")
@click.option("--in", "seconds", type=FromNow(), required=True, help="When it is due from now: 90s, 15m, 2h, 3d.")
@click.option("--reason", required=True, help="Why; a time-out's row keeps it with your name.")
def move(service: str, id: str, seconds: float, reason: str) -> None:
    """Let it be due at another time; a time-out whose alarm was lost is armed again by it."""
    body = {"do": "move", "id": id, "seconds": seconds, "by": person(), "reason": reason}
    done = _run(service, body)["moved"]
    click.echo(f"{done['kind']} {done['id']} is due in {done['due_in']:.0f} s.")


def _run(service: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return operate(service, settings(), "timers", body, lambda store: TimersCommand(store)(body))
    except CommandRefused as no:
        click.echo(f"hocket: {no}", err=True)
        raise Exit(NOT_SO) from no

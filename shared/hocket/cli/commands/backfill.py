"""`hocket backfill`: shows how new subscriptions read their history, and lets one go on that waits for a person."""

import json
from collections.abc import Mapping
from typing import Any

import click
from click.exceptions import Exit

from hocket.cli.operator_client import operate
from hocket.cli.targets import settings
from hocket.cli.text_table import table
from hocket.worker.http.backfill_command import BackfillCommand
from hocket.worker.http.operator import CommandRefused

#: Exit status where the answer is no.
NOT_SO = 1
_HEAD = ("SUBSCRIPTION", "PHASE", "SINCE", "AT", "OF", "EVENTS", "PER SECOND", "LEFT", "LETTERS", "MISSED", "WHY")


@click.command()
@click.argument("name")
@click.option("--go-on", is_flag=True, help="Let it go on after letters have paused it.")
@click.option("--accept-gap", is_flag=True, help="Read on with what the log holds, although history is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backfill(name: str, go_on: bool, accept_gap: bool, as_json: bool) -> None:
    """Show how NAME, a service or one subscription as shop.history, reads its history."""
    service, _, handler = name.partition(".")
    if go_on and accept_gap:
        raise click.UsageError("give one of --go-on and --accept-gap: the first is for letters, the other for a gap")
    if (go_on or accept_gap) and not handler:
        raise click.UsageError(f"name one subscription of {service}, as {service}.history")
    if go_on or accept_gap:
        _run(service, {"do": "go-on" if go_on else "accept-gap", "subscription": name})
    found = _run(service, {"do": "list", "subscription": name if handler else ""})["backfills"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("No subscription has read history.")
    else:
        click.echo(table(_HEAD, [_row(each) for each in found]))


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    left = "" if each["eta"] is None or each["phase"] != "reading" else f"{round(each['eta'])} s"
    end, rate = each["end"] or "", each["per_second"] or ""
    names = ("subscription", "phase", "since", "next")
    rest = (end, each["events"], rate, left, each["letters"], each["missed"], each["reason"])
    return tuple(str(one) for one in (*(each[one] for one in names), *rest))


def _run(service: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return operate(service, settings(), "backfill", body, lambda store: BackfillCommand(store)(body))
    except CommandRefused as no:
        click.echo(f"hocket: {no}", err=True)
        raise Exit(NOT_SO) from no

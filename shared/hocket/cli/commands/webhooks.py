"""`hocket webhooks`: shows webhooks that were kept or refused, lets the service try them again, discards them."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from click.exceptions import Exit

from hocket.cli.click_types import Within
from hocket.cli.operator_client import operate, person
from hocket.cli.targets import settings
from hocket.cli.text_table import shown, table
from hocket.worker.http.operator import CommandRefused
from hocket.worker.webhooks.command import WebhooksCommand
from hocket.worker.webhooks.ends import Cause, End, State
from hocket.worker.webhooks.kept import MOST_ROWS

#: Exit status where the answer is no.
NOT_SO = 1
#: Seconds for which `retry` waits for the service to try, and between two looks.
TRY_SECONDS = 10.0
LOOK_SECONDS = 0.25
CAUSES = (*(each.value for each in Cause), End.SIGNATURE.value, End.SKEW.value, End.HEADERS.value)


@click.group()
def webhooks() -> None:
    """Show webhooks that were kept or refused, try them again, discard them."""


@webhooks.command("list")
@click.argument("service")
@click.option("--source", default="", help="Only those of this webhook.")
@click.option("--cause", type=click.Choice(CAUSES), help="Only these.")
@click.option("--state", type=click.Choice([each.value for each in State]), help="These, in place of the open ones.")
@click.option("--limit", type=Within(1, MOST_ROWS), default=50, show_default=True, help="Show at most this many rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(service: str, source: str, cause: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """Show what is open, the newest first."""
    body = {"source": source, "cause": cause, "state": state, "limit": limit}
    found = _run(service, {"do": "list", **body})["webhooks"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("Nothing is kept.")
    else:
        head = ("ID", "SOURCE", "STATE", "CAUSE", "DELIVERY", "BYTES", "RECEIVED", "ERROR")
        names = ("id", "source", "state", "cause", "delivery", "size")
        rows = [(*(each[name] for name in names), _moment(each["received"]), each["error"]) for each in found]
        click.echo(table(head, rows))


@webhooks.command()
@click.argument("service")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(service: str, id: str, as_json: bool) -> None:
    """Show one whole, sensitive values masked; the beginning of its id will do."""
    found = _run(service, {"do": "show", "id": id})["webhook"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name in ("id", "source", "delivery", "state", "cause", "error", "correlation_id", "size", "skew", "secret"):
        click.echo(f"{name:<15} {shown(found[name])}")
    click.echo(f"{'received':<15} {_moment(found['received'])}")
    for name, value in found["headers"].items():
        click.echo(f"{shown(name)}: {shown(value)}")
    body = found["body"]
    click.echo(json.dumps(body, indent=2) if body is not None else "The body is no JSON, or too long to be shown.")


@webhooks.command()
@click.argument("service")
@click.argument("id", required=False, default="")
@click.option("--source", default="", help="Without an id: all kept ones of this webhook.")
@click.option("--cause", type=click.Choice(CAUSES), help="Without an id: all kept ones with this cause.")
@click.option("--accept-skew", is_flag=True, help="Take it also where its timestamp was too far from our clock.")
@click.option("--reason", default="", help="Why; the row keeps it with your name.")
def retry(service: str, id: str, source: str, cause: str | None, accept_skew: bool, reason: str) -> None:
    """Let the service verify and map it again, by its code and secrets of today."""
    if not (id or source or cause):
        raise click.UsageError("give an id, or --source or --cause for all of these")
    body = {"id": id, "source": source, "cause": cause, "accept_skew": accept_skew, "by": person(), "reason": reason}
    asked: Sequence[str] = _run(service, {"do": "retry", **body})["asked"]
    if not asked:
        click.echo("Nothing is kept that fits.")
        return
    open_ = list(asked)
    ends = time.monotonic() + TRY_SECONDS
    failed = False
    while open_ and time.monotonic() < ends:
        found = _run(service, {"do": "show", "id": open_[0]})["webhook"]
        if found["asked"]:
            time.sleep(LOOK_SECONDS)
            continue
        failed |= found["state"] in {State.KEPT.value, State.REFUSED.value}
        click.echo(_ended(found))
        del open_[0]
    if open_:
        click.echo(f"{len(open_)} not tried yet: the service tries them as soon as it runs.")
    if failed:
        raise Exit(NOT_SO)


@webhooks.command()
@click.argument("service")
@click.argument("id")
@click.option("--reason", required=True, help="Why; the row keeps it with your name.")
def discard(service: str, id: str, reason: str) -> None:
    """Settle one that says nothing any more."""
    done = _run(service, {"do": "discard", "id": id, "by": person(), "reason": reason})["discarded"]
    click.echo(f"{done} is discarded.")


def _ended(found: Mapping[str, Any]) -> str:
    """One sentence about a try."""
    match found["state"]:
        case State.SAID:
            return f"{found['id']} is said, in flow {found['correlation_id']}."
        case State.NOTHING:
            return f"{found['id']} has nothing to say; its delivery is remembered."
        case State.SEEN:
            return f"{found['id']} was said before, in flow {found['correlation_id']}: it is settled."
        case State.DISCARDED:
            return f"{found['id']} was discarded."
    return f"{found['id']} stays {found['state']}: {found['cause']}: {shown(found['error'])}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _run(service: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return operate(service, settings(), "webhooks", body, lambda store: WebhooksCommand(store, service)(body))
    except CommandRefused as no:
        click.echo(f"hocket: {no}", err=True)
        raise Exit(NOT_SO) from no

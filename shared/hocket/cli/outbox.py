"""`hocket outbox`: what a service has said and the broker has not confirmed, and why."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from hocket.cli.modules import settings
from hocket.cli.table import table
from hocket.clock import rfc3339
from hocket.store import Kept

#: Exit status where nothing was there to retry.
NOT_SO = 1

Target = Annotated[str, typer.Argument(metavar="SERVICE", help="A service's name, or the address of its database.")]


def outbox(
    target: Target,
    refused: Annotated[bool, typer.Option("--refused", help="Show only what the broker refused.")] = False,
    retry: Annotated[
        list[int] | None, typer.Option("--retry", metavar="ID", help="Publish a refused row again.")
    ] = None,
    retry_all: Annotated[bool, typer.Option("--retry-refused", help="Publish every refused row again.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows to show.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what waits in an outbox and why; publish again what the broker had refused."""
    from hocket.assembly import visit

    there = visit(target, settings())
    if retry or retry_all:
        freed = there.retry(retry or ())
        typer.echo(json.dumps({"freed": freed}) if as_json else f"{freed} rows will be published again.")
        if not freed:
            raise typer.Exit(NOT_SO)
        return
    now = time.time()
    counts, rows = there.counts(now), there.rows(limit, refused=refused)
    if as_json:
        told = [
            {"kind": kind, "state": state, "rows": many, "oldest": moment(due)} for kind, state, many, due in counts
        ]
        typer.echo(
            json.dumps({"counts": told, "rows": [{**_facts(row), "why": why(row, now)} for row in rows]}, indent=2)
        )
        return
    if not counts:
        typer.echo("Nothing waits.")
        return
    typer.echo(table(("KIND", "STATE", "ROWS", "OLDEST"), [(*each[:3], moment(each[3])) for each in counts]))
    if rows:
        head = ("ID", "KIND", "DUE", "EVENT", "SUBJECT", "TO", "BYTES", "WHY")
        typer.echo("\n" + table(head, [(*_facts(row).values(), why(row, now)) for row in rows]))


def _facts(row: Kept) -> dict[str, object]:
    to = f"{row.exchange} {row.routing_key}".strip()
    return {
        "id": row.id, "kind": row.kind.value, "due": moment(row.due), "event": row.event_id, "subject": row.subject,
        "to": to, "bytes": row.size,
    }  # fmt: skip


def why(row: Kept, now: float) -> str:
    """Why a row still stands in the outbox, in a sentence."""
    if row.refused:
        return f"the broker refused it for good: {row.reason or 'no reason given'}; mend that, then --retry {row.id}"
    if row.due > now:
        return f"it is due in {row.due - now:.0f} s"
    if not row.owner:
        return "it is due and nobody has claimed it yet: is the service running?"
    return f"it waits for the broker's confirm, held by the process with boot id {row.owner}"


def moment(seconds: float) -> str:
    """A moment as people read it, whole seconds."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC).replace(microsecond=0))

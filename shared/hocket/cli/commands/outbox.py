"""`hocket outbox`: shows which messages of a service the broker has not confirmed, and why."""

import json
import time
from datetime import UTC, datetime

import click
from click.exceptions import Exit

from hocket.cli.click_types import Within
from hocket.cli.targets import settings
from hocket.cli.text_table import table
from hocket.clock import rfc3339
from hocket.store.records import OutboxViewRow

#: Exit status if there was nothing to retry.
NOT_SO = 1


@click.command()
@click.argument(
    "target", metavar="SERVICE", help="A service's name, or the address of its database, as sqlite:///PATH."
)
@click.option("--refused", is_flag=True, help="Show only rows that the broker refused.")
@click.option("--retry", type=Within(1), multiple=True, metavar="ID", help="Publish a refused row again.")
@click.option("--retry-refused", "retry_all", is_flag=True, help="Publish every refused row again.")
@click.option("--limit", type=Within(1, 1000), default=50, show_default=True, help="Show at most this many rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def outbox(target: str, refused: bool, retry: tuple[int, ...], retry_all: bool, limit: int, as_json: bool) -> None:
    """Show what waits in an outbox, or publish refused rows again."""
    from hocket.assembly.drivers import outbox_view

    if not target:
        raise click.BadParameter("the name is empty; name a service, or its database as sqlite:///PATH")
    there = outbox_view(target, settings())
    if retry or retry_all:
        freed = there.retry(retry)
        said = f"{freed} rows will be published again." if freed else (
            "No row is published again: none of these is refused by the broker; `hocket outbox --refused` lists those "
            "that are."
        )  # fmt: skip
        click.echo(json.dumps({"freed": freed}) if as_json else said)
        if not freed:
            raise Exit(NOT_SO)
        return
    now = time.time()
    counts, rows = there.counts(), there.rows(limit, refused=refused)
    if as_json:
        totals = [
            {"kind": kind, "state": state, "rows": many, "oldest": moment(due)} for kind, state, many, due in counts
        ]
        click.echo(
            json.dumps({"counts": totals, "rows": [{**_facts(row), "why": why(row, now)} for row in rows]}, indent=2)
        )
        return
    if not counts:
        click.echo("Nothing waits.")
        return
    click.echo(table(("KIND", "STATE", "ROWS", "OLDEST"), [(*each[:3], moment(each[3])) for each in counts]))
    if rows:
        head = ("ID", "KIND", "DUE", "EVENT", "SUBJECT", "TO", "BYTES", "WHY")
        click.echo("\n" + table(head, [(*_facts(row).values(), why(row, now)) for row in rows]))


def _facts(row: OutboxViewRow) -> dict[str, object]:
    to = f"{row.exchange} {row.routing_key}".strip()
    return {
        "id": row.id, "kind": row.kind.value, "due": moment(row.due), "event": row.event_id, "subject": row.subject,
        "to": to, "bytes": row.size,
    }  # fmt: skip


def why(row: OutboxViewRow, now: float) -> str:
    """Why a row is still in the outbox."""
    if row.refused:
        reason = row.reason or "no reason given"
        return f"the broker refused it for good: {reason}; fix the cause, then give --retry {row.id}"
    if row.due > now:
        return f"it is due in {row.due - now:.0f} s"
    if not row.owner:
        return "it is due, and no process has claimed it yet; check that the service is running"
    return f"it waits for the broker's confirm; the process with boot id {row.owner} has it"


def moment(seconds: float) -> str:
    """A moment in UTC, to the second."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC).replace(microsecond=0))

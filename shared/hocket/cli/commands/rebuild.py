"""`hocket rebuild`: builds a projection anew beside the one that serves, and shows how its generations stand."""

import json
from collections.abc import Mapping
from typing import Any

import click
from click.exceptions import Exit

from hocket.cli.operator_client import operate
from hocket.cli.targets import settings
from hocket.cli.text_table import table
from hocket.worker.http.operator import CommandRefused
from hocket.worker.projections.rebuild import RebuildCommand

#: Exit status where the answer is no.
NOT_SO = 1


@click.command()
@click.argument("projection")
@click.option("--show", is_flag=True, help="Only show how its generations stand.")
@click.option("--again", is_flag=True, help="Give up what is being built, and begin anew.")
@click.option(
    "--swap-anyway", is_flag=True, help="Let what is being built serve, whatever it lacks: reads may go back."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rebuild(projection: str, show: bool, again: bool, swap_anyway: bool, as_json: bool) -> None:
    """Build PROJECTION, as shop.orders_view, anew from the log; it is swapped in when it is complete."""
    service, _, name = projection.partition(".")
    if not name:
        raise click.BadParameter(f"{projection} is not SERVICE.PROJECTION", param_hint="PROJECTION")
    if not show:
        done = _run(service, {"do": "swap" if swap_anyway else "begin", "projection": name, "again": again})
        one = done["generation"]
        if not as_json:
            what = "serves as soon as it has read the log" if swap_anyway else "is being built"
            click.echo(f"Generation {one['n']} of {projection} (version {one['version']}) {what}.")
    found = _run(service, {"do": "list", "projection": name})["generations"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    head, names = ("GENERATION", "VERSION", "STATE", "NOTE"), ("n", "version", "state", "note")
    click.echo(table(head, [tuple(str(each[column]) for column in names) for each in found]))


def _run(service: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return operate(service, settings(), "rebuild", body, lambda store: RebuildCommand(store)(body))
    except CommandRefused as no:
        click.echo(f"hocket: {no}", err=True)
        raise Exit(NOT_SO) from no

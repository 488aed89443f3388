"""`hocket settings`: what a process reads from the environment, and what each setting is for."""

import json

import click

from hocket.cli.settings_list import listed
from hocket.cli.targets import settings as read_settings
from hocket.cli.text_table import table

#: Marks a setting whose value is not the default.
CHANGED = "*"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settings(as_json: bool) -> None:
    """Print every setting with its value, default, unit and meaning; `*` marks what is not the default."""
    from hocket.assembly import drivers

    config = read_settings()
    drivers.check(config)
    found = listed(config)
    if as_json:
        click.echo(json.dumps([each._asdict() for each in found], indent=2, ensure_ascii=False))
        return
    rows = [(CHANGED if each.changed else "", *each[:5]) for each in found]
    click.echo(table(("", "NAME", "VALUE", "DEFAULT", "UNIT", "MEANING"), rows))

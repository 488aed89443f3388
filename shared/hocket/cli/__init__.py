"""The command line: `hocket run`, `check`, `topology`, `outbox`, `timers`, `backfill`, `breaker`, `rebuild` …

Exit status 0: done. 1: the command ran, and the answer is no (an unknown letter, a refused replay). 2: the command is
invalid or could not start; one sentence says why, without a traceback. Imports every floor below; nothing imports it.
"""

import sys
from typing import Any

import click

from hocket import __version__
from hocket.cli.click_types import Commands
from hocket.cli.commands import (
    backfill,
    breaker,
    check,
    dead,
    outbox,
    rebuild,
    run,
    say,
    settings,
    timers,
    topology,
    webhooks,
)
from hocket.errors import ConfigError, DeclarationError

#: Exit status of a command that is invalid or could not start.
CANNOT = 2

#: Exit status of a command that was interrupted from the keyboard, as in shells: 128 plus the signal's number.
INTERRUPTED = 130


class _Program(Commands):
    """Ends an interrupted command without output."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"hocket {__version__}")
        ctx.exit()


app = _Program(
    name="hocket",
    help="Run and operate services that coordinate by events on RabbitMQ.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version and end.",
        )
    ],
    commands=[
        run.run,
        check.check,
        topology.topology,
        outbox.outbox,
        timers.timers,
        backfill.backfill,
        breaker.breaker,
        webhooks.webhooks,
        rebuild.rebuild,
        dead.dead,
        say.say,
        settings.settings,
    ],
)


def main() -> None:
    """The program `hocket`."""
    try:
        app(prog_name="hocket")
    except (DeclarationError, ConfigError) as error:
        print(f"hocket: {error}", file=sys.stderr)
        sys.exit(CANNOT)

"""The command line: `hocket run`, `check`, `topology`, `outbox`, `dead`, `say`, `settings`.

Exit status 0: done; 1: looked at and not so (a letter that is not there, an act that is refused); 2: it could not be
meant or could not begin, said in one sentence without a stack.
"""

import sys
from typing import Any

import click

from hocket.cli.click_types import Commands
from hocket.cli.commands import check, dead, outbox, run, say, settings, topology
from hocket.errors import ConfigError, DeclarationError

#: Exit status of what could not be meant or could not begin.
CANNOT = 2

#: Exit status of a command that was interrupted from the keyboard, as shells have it: 128 and the signal's number.
INTERRUPTED = 130
#: click reads from this variable what a shell wants completed; there is none of no name.
NO_COMPLETION = ""


class _Program(Commands):
    """Ends an interrupted command without a word."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


app = _Program(
    name="hocket",
    help="Services that coordinate by events, without a conductor.",
    commands=[run.run, check.check, topology.topology, outbox.outbox, dead.dead, say.say, settings.settings],
)


def main() -> None:
    """The program `hocket`."""
    try:
        app(complete_var=NO_COMPLETION)
    except (DeclarationError, ConfigError) as error:
        print(f"hocket: {error}", file=sys.stderr)
        sys.exit(CANNOT)

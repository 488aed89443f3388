"""The command line: `hocket run`, `hocket check`, `hocket outbox`, `hocket dead`.

Exit status 0: done; 1: looked at and not so (a letter that is not there, an act that is refused); 2: it could not be
meant or could not begin, said in one sentence without a stack.
"""

import sys

import typer

from hocket.cli import check, dead, outbox, run
from hocket.errors import ConfigError, DeclarationError

#: Exit status of what could not be meant or could not begin.
CANNOT = 2

app = typer.Typer(
    name="hocket",
    help="Services that coordinate by events, without a conductor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("outbox")(outbox.outbox)
app.add_typer(dead.app, name="dead")


def main() -> None:
    """The program `hocket`."""
    try:
        app()
    except (DeclarationError, ConfigError) as error:
        print(f"hocket: {error}", file=sys.stderr)
        sys.exit(CANNOT)

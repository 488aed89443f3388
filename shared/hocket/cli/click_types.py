"""Option types and the command group, where click's own behave differently."""

import re
from typing import Any

import click

#: The highest number of a row in every store.
HIGHEST = 2**63 - 1
_WHOLE = re.compile(r"-?[0-9]{1,30}")


class Commands(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in that order."""
        return list(self.commands)


class Within(click.IntRange):
    """A whole number from `min` to `max`, both included; its error says in one sentence what is allowed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises `click.BadParameter`."""
        number = int(value) if _WHOLE.fullmatch(str(value)) else None
        if number is None or not (self.min or 0) <= number <= (self.max or HIGHEST):
            raise click.BadParameter(
                f"{value!r} is not a whole number from {self.min or 0} to {self.max or HIGHEST}", ctx, param
            )
        return number

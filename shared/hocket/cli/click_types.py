"""Option types and the command group, where click's own behave differently."""

from typing import Annotated, Any

import click
from pydantic import Field, TypeAdapter, ValidationError


class Commands(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in that order."""
        return list(self.commands)


class Whole(click.ParamType[int]):
    """A whole number, with the same error texts as a setting."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises `click.BadParameter`."""
        return _read(value, param, ctx)


class Within(click.IntRange):
    """A whole number within bounds, both included, with the same error texts as a setting."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises `click.BadParameter`."""
        return _read(value, param, ctx, self.min, self.max)


def _read(
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
    low: int | None = None,
    high: int | None = None,
) -> int:
    whole: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=low, le=high)])
    try:
        return whole.validate_python(value)
    except ValidationError as error:
        raise click.BadParameter(error.errors()[0]["msg"], ctx, param) from error

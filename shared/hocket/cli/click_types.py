"""How the command line is read, where click by itself does otherwise."""

from typing import Annotated, Any

import click
from pydantic import Field, TypeAdapter, ValidationError


class Commands(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in that order."""
        return list(self.commands)


class Whole(click.ParamType[int]):
    """A whole number, read and refused in the same words as a setting."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; `click.BadParameter` says what is wrong with it."""
        return _read(value, param, ctx)


class Within(click.IntRange):
    """A whole number within its bounds, both included, read and refused in the same words as a setting."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; `click.BadParameter` says what is wrong with it."""
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

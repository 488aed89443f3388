"""Projections: read models that are built as generations, each with tables of its own (RULES 14.1). Pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from inspect import iscoroutinefunction, signature
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table

from hocket.declarations.options import ProjectionOptions
from hocket.declarations.projections.tables import too_long
from hocket.declarations.subscription import Projected, Subscription
from hocket.envelope.keys import GENERATION_MARK
from hocket.errors import DeclarationError

#: Highest version, and most tables of one projection.
MAX_VERSION = 1_000_000
MAX_TABLES = 50
#: Longest name of a table, in bytes: PostgreSQL cuts names at 63, and `__` and a number are added.
MAX_TABLE_BYTES = 50
#: Deliveries that one transaction may hold (RULES 14.1): that many are admitted at once.
BATCH_EVENTS = 256
_NUMBERED = re.compile(r"__[0-9]+$")


def check_options(options: Iterable[str], where: str) -> None:
    """Refuse options that a projection does not have, those of a handler too. Raises `DeclarationError`."""
    known = ProjectionOptions.__annotations__
    for option in options:
        if option not in known:
            near = get_close_matches(option, known, 1)
            raise DeclarationError(
                f"{where}: {option}= is unknown; "
                + (
                    f"did you mean {near[0]}=?"
                    if near
                    else f"a projection has {', '.join(f'{each}=' for each in known)}"
                )
            )


def projected_of(tables: tuple[object, ...], options: dict[str, Any], name: str, where: str) -> Projected:
    """What the decorator was given; takes `version` and `seed` out of `options`. Raises `DeclarationError`."""
    version, seed = options.pop("version", 1), options.pop("seed", None)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= MAX_VERSION:
        raise DeclarationError(f"{where}: version={version!r} is no version; give 1, and a higher one for each change")
    if seed is not None and not (iscoroutinefunction(seed) and len(signature(seed).parameters) == 1):
        raise DeclarationError(f"{where}: seed= takes an async function; write async def fill(tx: Tx) -> None")
    if not tables or len(tables) > MAX_TABLES or not all(isinstance(each, Table) for each in tables):
        raise DeclarationError(
            f"{where}: a projection names the tables that it fills, 1 to {MAX_TABLES}; write "
            "@service.projection(rows) with rows = Table(…)"
        )
    named = [each for each in tables if isinstance(each, Table)]
    if len({each.name for each in named}) < len(named):
        raise DeclarationError(f"{where}: two tables have the same name; name each once")
    for table in named:
        _check_table(table, where)
    return Projected(name, version, tuple(named), seed=seed)


def check_own_tables(made: Subscription, others: Iterable[Subscription], where: str) -> None:
    """Refuse a table that another projection fills: their generations would share it. Raises `DeclarationError`."""
    own = {each.key for each in made.projected.tables} if made.projected else set()
    for other in others:
        taken = own & {each.key for each in other.projected.tables} if other.projected else set()
        if taken and other.name != made.name:
            raise DeclarationError(
                f"{where}: table {min(taken)} is filled by projection {other.name} already; give each projection a "
                f'table of its own, or where this is a newer version of that one, name="{other.name}"'
            )


def _check_table(table: Table, where: str) -> None:
    if len(table.name.encode()) > MAX_TABLE_BYTES or table.name.startswith("hocket_"):
        raise DeclarationError(
            f"{where}: table {table.name} has a name of more than {MAX_TABLE_BYTES} bytes, or one of hocket's; each "
            "generation adds its number to it: choose another"
        )
    if _NUMBERED.search(table.name) or "." in table.name:
        raise DeclarationError(
            f"{where}: table {table.name} has the name of a generation, as rows__1, or a dot in it; choose another"
        )
    if long := too_long(table):
        raise DeclarationError(
            f"{where}: {long[0]} of table {table.name} is too long a name for an index or a constraint, since each "
            "generation adds its number to it: choose a shorter one"
        )
    if any(isinstance(each, ForeignKeyConstraint) for each in table.constraints):
        raise DeclarationError(
            f"{where}: table {table.name} has a foreign key, and a table of a projection stands for itself: each "
            "generation has its own; keep the column without the constraint"
        )


def check_projection(made: Subscription, where: str) -> None:
    """Refuse what a projection cannot do: it hears, and writes its tables. Raises `DeclarationError`."""
    if made.says or made.scheduled:
        raise DeclarationError(
            f"{where}: a projection says nothing, for it would say it again with each rebuild; write -> None, and say "
            "it in a handler"
        )


def generation_of(declared: Subscription, n: int) -> Subscription:
    """The subscription of generation `n` of a declared projection."""
    assert declared.projected is not None
    projected = replace(declared.projected, n=n)
    return replace(declared, name=f"{projected.name}{GENERATION_MARK}{n}", projected=projected)


def function_name(fn: Callable[..., Any]) -> str:
    """The name of a function, for a sentence."""
    return str(getattr(fn, "__qualname__", fn))

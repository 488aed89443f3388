"""The tables of projections: each generation has its own, made from those that were declared (RULES 14.1). Pure."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Constraint, Index, MetaData, Table

from hocket.declarations.subscription import Subscription

#: Tables of generations that are kept in memory.
KNOWN_TABLES = 1024


@lru_cache(maxsize=KNOWN_TABLES)
def generation_table(table: Table, n: int) -> Table:
    """The table as generation `n` has it, `rows__3`, with its indexes and constraints under names of their own."""
    end = f"__{n}"
    made = table.to_metadata(MetaData(), name=f"{table.name}{end}")
    named: list[Constraint | Index] = [*made.indexes, *made.constraints]
    given = {*(each.name for each in table.indexes), *(each.name for each in table.constraints)}
    for each in named:
        if each.name is not None and each.name in given:  # others are made of the table's name
            each.name = f"{each.name}{end}"
    return made


def is_own(table: Table, tables: Collection[Table]) -> bool:
    """Whether this is one of these tables, by its name: a former version of a table may have other columns."""
    return any(each.name == table.name and each.schema == table.schema for each in tables)


def other_tables(declared: MetaData | None, projections: Mapping[Any, Subscription]) -> MetaData | None:
    """What a service creates under its own name at the start: all its tables but those of projections."""
    own = {each.key for made in projections.values() if made.projected for each in made.projected.tables}
    if declared is None or not own:
        return declared
    rest = MetaData(schema=declared.schema)
    for table in declared.sorted_tables:
        if table.key not in own:
            table.to_metadata(rest)
    return rest

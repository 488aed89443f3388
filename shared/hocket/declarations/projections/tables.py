"""The tables of projections: each generation has its own, made from those that were declared (RULES 14.1). Pure."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Constraint, Enum, Index, MetaData, Sequence, Table

from hocket.declarations.subscription import Subscription
from hocket.errors import DeclarationError

#: Tables of generations that are kept in memory.
KNOWN_TABLES = 1024
#: Bytes of a name in PostgreSQL, and the highest number of a generation that names must have room for.
MAX_NAME_BYTES, MAX_GENERATION = 63, 9999
#: Between a generation's table and the number of one of its enum types.
TYPE_MARK = "_e"


@lru_cache(maxsize=KNOWN_TABLES)
def generation_table(table: Table, n: int) -> Table:
    """The table as generation `n` has it, `rows__3`, with indexes, constraints and enum types of its own names."""
    end = f"__{n}"
    made = table.to_metadata(MetaData(), name=f"{table.name}{end}")
    named: list[Constraint | Index] = [*made.indexes, *made.constraints]
    given = {*(each.name for each in table.indexes), *(each.name for each in table.constraints)}
    for each in named:
        if each.name is not None and each.name in given:  # others are made of the table's name
            each.name = f"{each.name}{end}"
    own: dict[str, str] = {}
    for column in made.columns:  # another version may have other values in a type of the same name
        if isinstance(column.type, Enum) and column.type.name:
            column.type.name = own.setdefault(column.type.name, f"{made.name}{TYPE_MARK}{len(own)}")
    return made


def too_long(table: Table) -> list[str]:
    """Names of indexes and constraints that PostgreSQL cannot have, once a generation's number stands behind them."""
    made = generation_table.__wrapped__(table, MAX_GENERATION)
    named: list[Constraint | Index] = [*made.indexes, *made.constraints]
    given = [each.name for each in named if type(each.name) is str]  # SQLAlchemy shortens what it has named itself
    return sorted(name for name in given if len(name.encode()) > MAX_NAME_BYTES)


def is_own(table: Table, tables: Collection[Table]) -> bool:
    """Whether this is one of these tables, by its name: a former version of a table may have other columns."""
    return any(each.name == table.name and each.schema == table.schema for each in tables)


def other_tables(declared: MetaData | None, projections: Mapping[Any, Subscription]) -> MetaData | None:
    """What a service creates under its own name at the start: all its tables but those of projections."""
    own = {each.key for made in projections.values() if made.projected for each in made.projected.tables}
    if declared is None or not own:
        return declared
    rest = MetaData(schema=declared.schema)
    for table in declared.tables.values():
        if table.key in own:
            continue
        for key in table.foreign_keys:
            if key.target_fullname.rpartition(".")[0] in own:
                raise DeclarationError(
                    f"table {table.name} has a foreign key to {key.target_fullname}, which a projection fills: that "
                    "table exists only once for each generation; keep the column without the constraint"
                )
        table.to_metadata(rest)
    for each in declared._sequences.values():  # noqa: SLF001 -- SQLAlchemy lists them nowhere else
        if each.column is None:  # others came with their column
            Sequence(
                each.name, each.start, each.increment, each.minvalue, each.maxvalue, each.nominvalue, each.nomaxvalue,
                each.cycle, each.schema, each.cache, each.order, each.data_type, each.optional, metadata=rest,
            )  # fmt: skip
    return rest

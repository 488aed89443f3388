"""Declarations of projections are checked at import; each error says the way out."""

from typing import Any

import pytest
from sqlalchemy import Column, Enum, ForeignKey, Index, Integer, MetaData, Sequence, Table, Text

from hocket import Service, Tx
from hocket.declarations.projections.projection import generation_of
from hocket.declarations.projections.tables import generation_table, other_tables
from hocket.errors import DeclarationError
from tests.hocket.sample_services import Echoed, Rung, Tolled

meta = MetaData()
rows = Table("rings", meta, Column("name", Text, primary_key=True), Column("many", Integer, index=True))
Index("own", rows.c.many)
plain = Table("plain", meta, Column("name", Text, primary_key=True))
bound = Table("bound", meta, Column("name", Text, ForeignKey("plain.name"), primary_key=True))


async def view(rung: Rung, tx: Tx) -> None:
    """A projection."""


async def says(rung: Rung, tx: Tx) -> Echoed | None:
    """It says something."""
    return None


async def no_seed() -> None:
    """A seed without its parameter."""


@pytest.mark.parametrize(
    ("tables", "options", "fn", "sentence"),
    [
        ((), {}, view, "a projection names the tables"),
        ((1,), {}, view, "a projection names the tables"),
        ((rows, rows), {}, view, "two tables have the same name"),
        ((bound,), {}, view, "has a foreign key"),
        ((rows,), {"version": 0}, view, "is no version"),
        ((rows,), {"version": True}, view, "is no version"),
        ((rows,), {"seed": no_seed}, view, "seed= takes an async function"),
        ((rows,), {}, says, "a projection says nothing"),
        ((rows,), {"ordered": "strict"}, view, "ordered='strict' is not known"),
        ((rows,), {"after": view}, view, "after= is unknown; a projection has version="),
        ((rows,), {"since": "first"}, view, "since= is unknown"),
        ((rows,), {"latest_by": "none"}, view, "latest_by"),
        ((rows,), {"naem": "a"}, view, "naem= is unknown; did you mean name="),
        ((rows,), {"vresion": 2}, view, "vresion= is unknown; did you mean version="),
        ((rows,), {"side_effects": True}, view, "side_effects= is unknown; a projection has version="),
        ((Table("rings__1", MetaData(), Column("a", Text)),), {}, view, "has the name of a generation"),
        ((Table("a.b", MetaData(), Column("a", Text)),), {}, view, "or a dot in it"),
        ((Table("long", MetaData(), Column("a", Text), Index("i" * 60, "a")),), {}, view, "too long a name"),
        ((Table("hocket_mine", MetaData(), Column("a", Text)),), {}, view, "one of hocket's"),
    ],
)
def test_what_is_refused(tables: tuple[Any, ...], options: dict[str, Any], fn: Any, sentence: str) -> None:
    """RULES 14.1: import refuses a projection that says, has no table, or whose options are wrong."""
    with pytest.raises(DeclarationError, match=sentence):
        Service("shop", owner="team").projection(*tables, **options)(fn)


def test_a_projection_without_parentheses_is_refused() -> None:
    """RULES 14.1: it would declare nothing, and nobody would fill its tables."""
    with pytest.raises(DeclarationError, match=r"view stands below it without arguments; write @shop.projection\(rows"):
        Service("shop", owner="team").projection(view)  # type: ignore[arg-type]


def test_two_projections_have_no_table_in_common() -> None:
    """RULES 14.1: each would write and drop the tables of the other; versions of one projection share it."""
    service = Service("shop", owner="team")
    service.projection(rows)(view)
    service.projection(rows, version=2, name="view")(view)
    with pytest.raises(DeclarationError, match=r'table rings is filled by projection view already.*name="view"'):
        service.projection(rows, name="other")(view)


def test_enum_types_are_of_a_generation() -> None:
    """RULES 14.1: version 2 may have a value more, which a type that version 1 has made would refuse."""
    kind = Enum("a", "b", name="kind")
    table = Table("kinds", MetaData(), Column("a", kind), Column("b", kind), Column("c", Enum("x", name="other")))
    made = generation_table(table, 2)
    assert [getattr(each.type, "name", "") for each in made.columns] == ["kinds__2_e0", "kinds__2_e0", "kinds__2_e1"]
    assert [getattr(each.type, "name", "") for each in table.columns] == ["kind", "kind", "other"]


def test_sequences_stay_and_keys_to_a_projection_are_refused() -> None:
    """RULES 14.1: what is no table of a projection is made as declared; nothing can point at a table of generations."""
    declared = MetaData()
    own = Table("own", declared, Column("id", Integer, primary_key=True))
    numbers = Sequence("numbers", metadata=declared)
    Table("rest", declared, Column("n", Integer, server_default=numbers.next_value()))
    service = Service("shop", owner="team", tables=declared)
    service.projection(own)(view)
    rest = other_tables(declared, service.declarations.projections)
    assert rest is not None
    assert (list(rest.tables), list(rest._sequences)) == (["rest"], ["numbers"])  # noqa: SLF001
    Table("points", declared, Column("id", Integer, ForeignKey("own.id")))
    with pytest.raises(DeclarationError, match=r"table points has a foreign key to own\.id, which a projection fills"):
        other_tables(declared, service.declarations.projections)


def test_a_step_is_no_projection() -> None:
    """RULES 14.1: neither undo nor on_dead belongs to a projection."""
    service = Service("shop", owner="team")
    declared: Any = service.projection(rows)(view)
    undone: Any = service.undo(declared, Tolled, by="name")
    with pytest.raises(DeclarationError, match="view is a projection, which has no undo"):
        undone(says)


def test_each_version_once() -> None:
    """RULES 14.3: two versions stand side by side under one name; one version twice is refused."""
    service = Service("shop", owner="team")
    service.projection(rows, version=1)(view)
    service.projection(rows, version=2, name="view")(view)
    with pytest.raises(DeclarationError, match="version 2 is declared already"):
        service.projection(rows, version=2, name="view")(view)
    service.handler(name="other")(view)
    with pytest.raises(DeclarationError, match="another handler has this name"):
        service.projection(rows, name="other")(view)


def test_a_generation_is_a_subscription_with_tables_of_its_own() -> None:
    """RULES 14.1: own queue, own tables, with indexes and constraints under names of their own."""
    service = Service("shop", owner="team", tables=meta)
    service.projection(rows)(view)
    service.complete()
    made = generation_of(service.declarations.projections["view", 1], 3)
    assert (made.queue, made.identity) == ("shop.view@3.ordered", "shop.view@3")
    assert made.bound == (("bell.rung", 1),)
    table = generation_table(rows, 3)
    assert table.name == "rings__3"
    assert sorted(str(each.name) for each in table.indexes) == ["ix_rings__3_many", "own__3"]
    assert generation_table(rows, 3) is table


def test_other_tables_stay_under_their_own_name() -> None:
    """RULES 14.1: one MetaData may hold both; those of projections are not made under their own name."""
    service = Service("shop", owner="team", tables=meta)
    service.projection(rows)(view)
    left = other_tables(meta, service.declarations.projections)
    assert left is not None
    assert set(left.tables) == {"plain", "bound"}
    assert other_tables(meta, {}) is meta


def test_the_manifest_lists_the_generations() -> None:
    """docs/wire.md#receipts: what lives here is told as any subscription, so that a letter of it can be replayed."""
    service = Service("shop", owner="team")
    service.projection(rows)(view)
    made = generation_of(service.declarations.projections["view", 1], 3)
    told: Any = service.declarations.manifest([made])
    assert [each["name"] for each in told["subscriptions"]] == ["shop.view@3.ordered"]

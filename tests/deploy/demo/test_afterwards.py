"""The carrier's rounds: what is shipped arrives once, what is to come back comes back, and then it ends."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deploy.demo.afterwards import Afterwards
from deploy.demo.load import Load
from deploy.demo.plan import Sort, plan_of
from deploy.demo.posting import Posting
from deploy.demo.progress import Told
from deploy.demo.world import World
from tests.deploy.demo.small_shop import SmallShop, opened


async def happened(world: World, sorts: Sequence[Sort], seconds: float = 45.0) -> Told:
    """All rounds after these orders, named A, B, C in turn, were posted."""
    told, posting = Told(), Posting(world)
    plan = replace(plan_of("60"), delivered_seconds=seconds)
    load = Load(plan, world, posting, told)
    load.sorts = [*sorts]
    load.numbers = {"ABCDEF"[number]: number for number in range(len(sorts))}
    load.posted = True
    await Afterwards(plan, world, load, posting, told).happen()
    posting.close()
    return told


async def test_what_is_shipped_arrives_and_returns_come_back(tmp_path: Path) -> None:
    """Every other plain order and every return arrives once; the return is cancelled, the rest left alone."""
    shop = SmallShop({"A": "shipped", "B": "shipped", "C": "shipped", "D": "shipped", "E": "cancelled"})
    async with opened(shop, tmp_path) as world:
        told = await happened(world, [Sort.PLAIN, Sort.RETURNED, Sort.PLAIN, Sort.PLAIN, Sort.PLAIN])
    assert told.missed == []
    assert sorted(shop.posts) == [
        ("cancellation", "B"), ("delivery", "A"), ("delivery", "B"), ("delivery", "C"),
    ]  # fmt: skip
    assert shop.states == {"A": "delivered", "B": "cancelled", "C": "delivered", "D": "shipped", "E": "cancelled"}


async def test_an_order_that_never_ends_is_named(tmp_path: Path) -> None:
    """An order of which nothing comes ends the rounds at their bound, and is told of by its id."""
    async with opened(SmallShop({"A": "confirmed"}), tmp_path) as world:
        told = await happened(world, [Sort.PLAIN], seconds=1.5)
    assert told.missed == ["1 orders were neither delivered nor cancelled, as A"]

"""RULES 5.1, 5.3 with `across=True`, through whole services: a failure of any flow reaches the step of its scope."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hocket import Event, Heard, Sensitive, Service, Tx
from hocket.envelope import decode
from hocket.testing import Play, play
from tests.hocket.across_bank import BOUGHT, DROPPED, Bank, Bought, Cancelled, GivenBack, bank
from tests.hocket.sample_services import Processes

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(minutes=5)


def told(shop: Play, name: str) -> list[Any]:
    """This field of all receipts that have it."""
    return [each[name] for each in shop.receipts if each.get(name)]


async def buy(shop: Play, key: str = "k", order: str = "1", flow: str = BOUGHT) -> None:
    """The step's input comes."""
    await shop.hear(Bought(order=order), key=key, correlation_id=flow)
    await shop.quiet()


async def cancel(shop: Play, key: str = "c", order: str = "1", flow: str = DROPPED) -> None:
    """The failure is said, in another flow."""
    await shop.hear(Cancelled(order=order), key=key, correlation_id=flow)
    await shop.quiet()


async def test_a_failure_said_in_another_flow_undoes_the_step() -> None:
    """RULES 5.3: the undo belongs to the flow of the step; the failure's receipt says which flow it reached."""
    world = Bank()
    async with play(bank.using(world)) as shop:
        await buy(shop)
        await cancel(shop)
        assert world.given == [("1", True, BOUGHT, world.taken[0])]
        assert told(shop, "reached") == [[BOUGHT]]
        assert [each.order for each in shop.said_of(GivenBack)] == ["1"]
        assert shop.zombies == []


async def test_a_failure_that_comes_first_refuses_the_step_and_keeps_no_data() -> None:
    """RULES 5.3: a tombstone keeps which event it was and of which flow; the refused step's receipt names it."""
    world = Bank()
    async with play(bank.using(world)) as shop:
        await cancel(shop)
        async with shop.workers["bank"].runtime.store.read() as db:
            [row] = (await db.exec_driver_sql("SELECT state, failure FROM hocket_ledger")).all()
        assert row.state == "tombstone"
        assert b"order" not in bytes(row.failure)
        await buy(shop)
        assert world.taken == []
        assert told(shop, "reached") == ["none"]
        [failure] = told(shop, "failure")
        assert (failure["type"], failure["source"], failure["correlationid"]) == ("shop.cancelled", "/play", DROPPED)
        assert set(failure) == {"type", "source", "id", "time", "correlationid"}


async def test_a_scope_happens_once_in_all_flows() -> None:
    """RULES 5.1: the second input of a scope is a `conflict`, also in another flow and after the undo."""
    world = Bank()
    async with play(bank.using(world)) as shop:
        await buy(shop)
        await buy(shop, key="again", flow=DROPPED)
        assert shop.dead == ["bank.take"]
        await cancel(shop)
        await buy(shop, key="third", flow="0198c5b8-0000-7000-8000-000000000003")
        assert (shop.dead, len(world.taken)) == (["bank.take"] * 2, 1)
        letter = next(each for each in shop.receipts if each.get("outcome") == "dead")
        assert letter["cause"] == "conflict"
        assert 'bank.take has begun for ["1"] with another key' in letter["error"]


async def test_another_scope_is_another_run() -> None:
    """RULES 5.1: a failure touches its own scope only."""
    world = Bank()
    async with play(bank.using(world)) as shop:
        await buy(shop)
        await buy(shop, key="k2", order="2")
        await cancel(shop, order="2")
        assert [order for order, *_ in world.given] == ["2"]


@pytest.mark.parametrize("order", sorted(set(itertools.permutations("SSFf"))))
@pytest.mark.parametrize("takes", [True, False])
async def test_every_order_of_arrival_ends_well(order: tuple[str, ...], takes: bool) -> None:
    """RULES 5.3, 5.4: a step, its copy, a failure and one of a third flow, in every order: at most one undo."""
    world = Bank(takes=takes)
    async with play(bank.using(world)) as shop:
        for each in order:
            if each == "S":
                await buy(shop)
            else:
                await cancel(shop, key=each, flow=DROPPED if each == "F" else "0198c5b8-0000-7000-8000-000000000003")
        await shop.advance(LATER)
        ran = order[0] == "S"
        assert len(world.taken) == (1 if ran else 0)
        assert world.given == ([("1", True, BOUGHT, world.taken[0])] if ran and takes else [])
        assert shop.dead == []
        assert shop.zombies == []


async def test_an_undo_that_dies_is_replayed_under_its_keys() -> None:
    """RULES 5.4: it retries, dies into a letter of the step's flow, and its replay undoes under the same keys."""
    world = Bank(answers=False)
    async with play(bank.using(world)) as shop:
        await buy(shop)
        await cancel(shop)
        await shop.advance(LATER)
        assert shop.dead == ["bank.give_back"]
        assert [each.partition(" ")[0] for each in shop.zombies] == ["bank.take"]
        [letter] = shop.broker.messages("hocket.dead")
        assert decode(letter.body, letter.content_type, {}, START).correlation_id == BOUGHT
        world.answers = True
        await shop.workers["bank"].send("bank.give_back", letter.body, letter.content_type, replay="r", attempt=3)
        await shop.advance(LATER)
        assert shop.zombies == []
        assert len(world.given) == 3
        assert len(set(world.given)) == 1
        await cancel(shop, key="once more")
        assert len(world.given) == 3


class Hired(Heard, type="desk.hired"):
    person: Sensitive[str]


class Left(Heard, type="desk.left"):
    person: str


class Badge(Event, type="door.badge", subject="badge"):
    person: Sensitive[str]


door = Service("door", owner="team-door")


@door.handler
async def admit(hired: Hired, tx: Tx) -> Badge:
    return Badge(person=hired.person)


@door.undo(admit, Badge, by="person", across=True)
async def lock(hired: Hired, did: Badge | None, why: Left, tx: Tx) -> None:
    """Nothing to do outside."""


async def test_a_sensitive_scope_is_stored_as_its_key() -> None:
    """RULES 5.4: the ledger does not show whom a run was about, and the failure finds it all the same."""
    async with play(door) as shop:
        await shop.hear(Hired(person="ada@example.com"), correlation_id=BOUGHT)
        await shop.quiet()
        await shop.hear(Left(person="ada@example.com"), correlation_id=DROPPED)
        await shop.hear(Left(person="grace@example.com"), correlation_id=DROPPED)
        await shop.quiet()
        async with shop.workers["door"].runtime.store.read() as db:
            rows = (await db.exec_driver_sql("SELECT scope, state FROM hocket_ledger")).all()
        assert sorted(row.state for row in rows) == ["tombstone", "undone"]
        assert not [row for row in rows if "example" in row.scope]


class HiredBefore(Heard, type="desk.hired"):
    """As it was before anybody marked the field."""

    person: str


class BadgeBefore(Event, type="door.badge", subject="badge"):
    """The same."""

    person: str


async def test_runs_of_before_a_field_was_sensitive_are_found(tower: Processes) -> None:
    """RULES 5.4: only what is shown of a scope changes with the mark; the run is the same, as after a migration."""
    before = Service("door", owner="team-door")

    @before.handler
    async def admit(hired: HiredBefore, tx: Tx) -> BadgeBefore:
        return BadgeBefore(person=hired.person)

    @before.undo(admit, BadgeBefore, by="person", across=True)
    async def lock(hired: HiredBefore, did: BadgeBefore | None, why: Left, tx: Tx) -> None:
        """Nothing to do outside."""

    await tower.start(before)
    await tower.hear(HiredBefore(person="ada"), "h")
    await tower.quiet()
    await tower.stop("door")
    worker = await tower.start(door)
    await tower.hear(Left(person="ada"), "l")
    await tower.quiet()
    async with worker.runtime.store.read() as db:
        assert (await db.exec_driver_sql("SELECT state FROM hocket_ledger")).scalars().all() == ["undone"]

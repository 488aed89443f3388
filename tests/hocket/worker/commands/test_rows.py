"""Commands whose process, lease or database fails: nothing is done twice, nothing is answered that may not stand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import text

from hocket import Outside, Service
from hocket.assembly import hosted
from hocket.config import Config
from hocket.errors import StoreError
from hocket.testing.play import PSEUDONYM_KEY
from hocket.worker.commands import runs
from hocket.worker.commands.rows import CommandRows, Found, Run
from tests.hocket.sample_services import until
from tests.hocket.worker.commands.test_runs import BODY, problem
from tests.hocket.worker.commands.till import PATIENCE, Gate, Replica, World, running

LAPSE = "UPDATE hocket_commands SET until = 1"


def needs_replicas(address: str) -> None:
    """Skip where one process is all there is."""
    if address.startswith("sqlite"):
        pytest.skip("SQLite has one process, which knows what it runs itself")


@pytest.fixture
async def replicas(address: str) -> AsyncIterator[tuple[Gate, World, list[Replica]]]:
    """Two processes on PostgreSQL, one on SQLite, whose first run stops in the middle."""
    gate = Gate()
    world = World(gate)
    async with running(address, world, 2 if address.startswith("postgresql") else 1) as made:
        yield gate, world, made


async def test_a_run_whose_lease_is_over_is_taken_over_and_fenced(
    address: str, replicas: tuple[Gate, World, list[Replica]]
) -> None:
    """RULES 13.2, 13.3: the same outside keys and derived keys; the loser is rolled back and answers the winner's."""
    needs_replicas(address)
    gate, world, made = replicas
    first = asyncio.create_task(made[0].ask(BODY, "k"))
    await gate.arrived.wait()
    await made[0].sql(LAPSE)
    winner = await made[-1].ask(BODY, "k")
    assert (winner.status, winner.replayed) == (201, False)
    assert (await made[0].ask(BODY, "k")).body == winner.body  # also beside the run that has lost and does not know it
    gate.open.set()
    loser = await first
    assert (loser.status, loser.body, loser.replayed) == (201, winner.body, True)
    assert loser.headers["Hocket-Token"] == winner.headers["Hocket-Token"]
    assert await made[0].sold() == ["tea"]
    assert len(world.keys) == 2
    assert len(set(world.keys)) == 1
    assert len({each.idempotency_key for replica in made for each in await replica.said()}) == 1


async def test_a_run_that_lost_its_key_cannot_end_while_the_next_is_at_work(address: str) -> None:
    """RULES 13.3: by the owner: it is rolled back and told to wait; what the next one answers is the answer."""
    needs_replicas(address)
    one_gate, other_gate = Gate(), Gate()
    gates = iter((one_gate, other_gate))

    async def act(request: web.Request, tx: Outside[World]) -> web.StreamResponse:
        return await next(gates)(request, tx)

    async with running(address, World(act), 2) as [one, two]:
        first = asyncio.create_task(one.ask(BODY, "k"))
        await one_gate.arrived.wait()
        await one.sql(LAPSE)
        second = asyncio.create_task(two.ask(BODY, "k"))
        await other_gate.arrived.wait()
        one_gate.open.set()
        assert problem(await first, 409) == "command-in-progress"
        assert await one.sold() == []
        other_gate.open.set()
        assert (await second).status == 201
        assert (await one.ask(BODY, "k")).body == (await second).body
        assert await one.sold() == ["tea"]


async def test_two_replicas_are_one(replicas: tuple[Gate, World, list[Replica]]) -> None:
    """RULES 13.2: what one runs the other waits for, replays and refuses."""
    gate, _, made = replicas
    first = asyncio.create_task(made[0].ask(BODY, "k"))
    await gate.arrived.wait()
    second = asyncio.create_task(made[-1].ask(BODY, "k"))
    assert problem(await made[-1].ask({"what": "milk"}, "k"), 422) == "idempotency-key-reused"
    gate.open.set()
    assert (await second).body == (await first).body
    assert (await second).replayed
    many = await asyncio.gather(*(made[n % len(made)].ask(BODY, "j") for n in range(12)))
    assert len({each.body for each in many}) == 1
    assert await made[0].sold() == ["tea", "tea"]


async def test_a_process_that_died_holds_a_key_for_its_lease(address: str) -> None:
    """RULES 13.2: 409 until then; the next one runs again, and what the dead one did not commit never was.

    A database of one process knows that the one before is gone: nobody waits.
    """
    gate = Gate()
    world = World(gate)
    async with running(address, world) as [one]:
        lost = asyncio.create_task(one.ask(BODY, "k"))
        await gate.arrived.wait()
        await one.part.worker.kill()
        lost.cancel()
        rows = await one.keys()
        assert rows == ["begun"]
        await one.part.store.close()
    async with running(address, world) as [two]:
        if address.startswith("postgresql"):
            assert problem(await two.ask(BODY, "k"), 409) == "command-in-progress"
            await two.sql(LAPSE)
        assert (await two.ask(BODY, "k")).status == 201
        assert await two.sold() == ["tea"]
    assert len(set(world.keys)) == 1


async def test_a_clock_that_was_ahead_holds_nobody_up(address: str) -> None:
    """RULES 11.2, 13.2: a lease that ends tomorrow is none."""
    needs_replicas(address)
    gate = Gate()
    async with running(address, World(gate), 2) as [one, two]:
        first = asyncio.create_task(one.ask(BODY, "k"))
        await gate.arrived.wait()
        await one.sql("UPDATE hocket_commands SET until = until + 86400")
        assert (await two.ask(BODY, "k")).status == 201
        gate.open.set()
        await first
        assert await one.sold() == ["tea"]


async def test_a_run_that_is_at_work_keeps_its_key(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 13.2: its lease is renewed, however long it takes within its bound."""
    needs_replicas(address)
    monkeypatch.setattr(runs, "RENEW_SECONDS", 0.05)
    gate = Gate()
    async with running(address, World(gate), 2) as [one, two]:
        first = asyncio.create_task(one.ask(BODY, "k"))
        await gate.arrived.wait()
        await one.sql("UPDATE hocket_commands SET until = 1")
        await one.renewed(1)
        assert problem(await two.ask(BODY, "k"), 409) == "command-in-progress"
        gate.open.set()
        assert (await first).status == 201
    assert gate.runs == 1


async def test_a_run_that_takes_too_long_is_ended(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 13.4: 503 with `Retry-After`; it stores nothing, and the key is free."""
    async with running(address, World(Gate())) as [one]:
        with monkeypatch.context() as brief:
            brief.setattr(runs, "RUN_SECONDS", 0.2)
            ended = await one.ask(BODY, "k")
        assert problem(ended, 503) == "not-now"
        assert int(ended.headers["Retry-After"]) >= 1
        assert (await one.sold(), await one.keys()) == ([], [])
        assert (await one.ask(BODY, "k")).status == 201


@asynccontextmanager
async def _unanswered(one: Replica, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> AsyncIterator[None]:
    """The next transaction that ends a command is committed, or rolled back, and nobody is told."""
    store, whole = type(one.part.store), type(one.part.store).transaction

    @asynccontextmanager
    async def transaction(self: Any, lease: float | None = None) -> AsyncIterator[Any]:
        async with whole(self, lease) as tx:
            yield tx
            states = "SELECT count(*) FROM hocket_commands WHERE state = 'ended'"
            ends = bool(await (await tx.db()).scalar(text(states)))
            if ends:
                monkeypatch.setattr(store, "transaction", whole)
            if ends and not committed:
                raise StoreError("the connection was lost before the commit")
        if ends:
            raise StoreError("the connection was lost after the commit")

    monkeypatch.setattr(store, "transaction", transaction)
    yield
    monkeypatch.setattr(store, "transaction", whole)


@pytest.mark.parametrize("committed", [True, False])
async def test_an_unknown_outcome_is_looked_up(address: str, committed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 13.4, 3.2: what was committed is answered; what was not is 503, and the key is free at once."""
    world = World()
    async with running(address, world) as [one]:
        async with _unanswered(one, monkeypatch, committed=committed):
            first = await one.ask(BODY, "k")
        if committed:
            assert (first.status, first.replayed) == (201, False)
        else:
            assert problem(first, 503) == "not-now"
            assert (await one.sold(), await one.keys()) == ([], [])
        again = await one.ask(BODY, "k")
        assert (again.status, again.replayed) == (201, committed)
        assert await one.sold() == ["tea"]
        assert len(await one.said()) == 1
    assert len(world.keys) == (1 if committed else 2)


async def test_what_a_commit_still_holds_is_not_answered(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 13.4: while the database decides, 503, and nobody frees the key."""
    needs_replicas(address)
    monkeypatch.setattr(runs, "SETTLE_SECONDS", 0.5)
    settle, holds, decided = CommandRows.settle, asyncio.Event(), asyncio.Event()
    async with running(address, World(), 2) as [one, two]:

        async def hold() -> None:
            async with two.part.store.transaction() as tx:
                await (await tx.db()).execute(text("UPDATE hocket_commands SET state = 'ended', status = 204"))
                holds.set()
                await decided.wait()

        async def settles(self: CommandRows, run: Run) -> Found:
            if not holding:
                holding.append(asyncio.create_task(hold()))
                await holds.wait()
            return await settle(self, run)

        holding: list[asyncio.Task[None]] = []
        monkeypatch.setattr(CommandRows, "settle", settles)
        async with _unanswered(one, monkeypatch, committed=False):
            refused = await one.ask(BODY, "k")
        assert problem(refused, 503) == "not-now"
        assert await one.keys() == ["begun"]
        decided.set()
        await holding[0]
        assert (await two.ask(BODY, "k")).status == 204


async def test_a_lost_client_of_an_application_frees_its_key(tmp_path: Path) -> None:
    """RULES 13.4: where the application's server cancels the handlers of clients that are gone."""
    gate = Gate()
    shop = Service("shop", owner="team-shop")

    async def act(request: web.Request, tx: Outside) -> web.Response:
        gate.runs += 1
        if gate.runs == 1:
            gate.arrived.set()
            await gate.open.wait()
        return web.json_response({"flow": tx.correlation_id})

    config = Config(pseudonym_key=PSEUDONYM_KEY, broker_url="memory://", database_url=f"sqlite:///{tmp_path}/shop.db")

    async def run_hocket(app: web.Application) -> AsyncIterator[None]:
        async with hosted(shop, config=config):
            yield

    app = web.Application()
    app.cleanup_ctx.append(run_hocket)
    app.router.add_post("/acts", shop.command()(act))
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
            lost = asyncio.create_task(http.post("/acts", json={}, headers={"Idempotency-Key": "k"}))
            await gate.arrived.wait()
            lost.cancel()
            await asyncio.wait([lost])

            replies = []
            for _ in range(2):
                async with http.post("/acts", json={}, headers={"Idempotency-Key": "k"}) as answer:
                    replies.append((answer.status, await answer.json(), answer.headers.get("Idempotent-Replayed")))
            assert replies[0][0] == 200
            assert replies[1] == (200, replies[0][1], "true")
            async with http.post("/acts", json={}) as answer:
                assert (answer.status, json.loads(await answer.read())["status"]) == (400, 400)
    finally:
        await runner.cleanup()
    assert gate.runs == 2


async def test_old_answers_are_forgotten(address: str) -> None:
    """RULES 13.5: with the inbox and no sooner; after that the key is new."""
    world = World()
    async with running(address, world) as [one]:
        sweeper = one.part.worker.sweeper
        for n in range(3):
            await one.ask(BODY, f"k-{n}")
        await sweeper.sweep()
        assert len(await one.keys()) == 3
        await one.sql("UPDATE hocket_commands SET updated = updated - 31 * 86400 WHERE status = 201")
        await one.ask(BODY, "young")
        assert await sweeper.sweep() >= 3
        assert len(await one.keys()) == 1
        assert not (await one.ask(BODY, "k-0")).replayed
        assert (await one.ask(BODY, "young")).replayed
    await until(lambda: len(world.keys) == 5, PATIENCE)

"""The order saga in real processes: workers, a broker in memory, SQLite files, virtual time; kills on the way."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hocket.broker.topology import kit
from hocket.envelope.cloudevent import UNDO_TYPE, read
from hocket.testing.virtual_time import virtual_time
from hocket.worker import Worker
from tests.graph.sagas.order import SERVICES, OrderCancelled, OrderPlaced
from tests.graph.sagas.outside import DECLINED, ERROR, LIED, OK, NoAnswer
from tests.hocket.sample_services import Processes

#: Longer than the time-out and every wait of the kit together.
LONG = 600.0
STEP_OF = {"void": "authorise", "release": "reserve", "recall": "ship", "refund": "capture"}
STEPS = tuple(STEP_OF.values())


class OrderPlan(NamedTuple):
    """What happens to one order: the outside's first answers and how long they take, who cancels, what comes twice."""

    at: float
    answers: tuple[str, ...]  # of each step
    takes: tuple[float, ...]  # seconds of each step's call
    cancelled_at: float | None
    doubled: bool
    undo_dies: tuple[bool, ...]  # of each step


class Plan(NamedTuple):
    """One history: orders, and which process is killed when."""

    orders: tuple[OrderPlan, ...]
    kills: tuple[tuple[float, int], ...]  # seconds, service
    replayed: bool


@dataclass
class Books:
    """The outside: it acts once a key, and refuses what was given back before it came."""

    plan: Plan
    acts: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # key: step, order, state
    asked: Counter[str] = field(default_factory=Counter)

    async def act(self, tx: Any, name: str, order: str) -> bool:
        """The call of a step or of an undo."""
        self.asked[f"{name} {order}"] += 1
        plan, first = self.plan.orders[int(order)], self.asked[f"{name} {order}"] == 1
        if name in STEP_OF:
            return self._undo(
                STEP_OF[name], order, tx.step_key, dies=first and plan.undo_dies[STEPS.index(STEP_OF[name])]
            )
        at = STEPS.index(name)
        await asyncio.sleep(plan.takes[at])
        return self._do(name, order, tx.idempotency_key, plan.answers[at] if first else OK)

    def _do(self, step: str, order: str, key: str, answer: str) -> bool:
        known = self.acts.get(key)
        if known is None and answer != ERROR:
            self.acts[key] = (step, order, self._taken(step, order, answer))
        if answer in {ERROR, LIED}:
            raise NoAnswer
        return self.acts[key][2] not in {DECLINED, "blocked"}

    def _taken(self, step: str, order: str, answer: str) -> str:
        if answer == DECLINED:
            return DECLINED
        if step != "capture":
            return "stands"
        held = next((key for key, act in self.acts.items() if act == ("authorise", order, "stands")), None)
        if held is None:
            return DECLINED
        self.acts[held] = ("authorise", order, "used")
        return "stands"

    def _undo(self, step: str, order: str, key: str, *, dies: bool) -> bool:
        if dies:
            raise NoAnswer
        state = self.acts[key][2] if key in self.acts else ""
        if state in {"", "stands"}:
            self.acts[key] = (step, order, "back" if state else "blocked")
        return True


class Shop(NamedTuple):
    """What is left when nothing happens any more."""

    books: Books
    said: Counter[tuple[str, str]]  # type and order; by how many keys
    ledger: tuple[tuple[str, str, str], ...]  # step, order, state
    dead: Counter[str]  # letters by queue, of undos by `undo QUEUE ORDER`


async def _kills(tower: Processes, books: Books, plan: Plan) -> None:
    began = asyncio.get_running_loop().time()
    for at, which in sorted(plan.kills):
        await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
        service = SERVICES[which]
        await tower.kill(service.name)
        await tower.start(service.using(books))


async def _orders(tower: Processes, number: int, plan: OrderPlan) -> None:
    flow = f"0198c5b8-0000-7000-8000-{number:012d}"
    await asyncio.sleep(plan.at)
    for _ in range(2 if plan.doubled else 1):
        event = OrderPlaced(order_id=str(number))
        await tower.hear(event, f"placed {number}", source="/orders", correlation_id=flow, subject=f"order/{number}")
    if plan.cancelled_at is not None:
        await asyncio.sleep(plan.cancelled_at)
        own = f"0198c5b8-0000-7000-9000-{number:012d}"
        gone = OrderCancelled(order_id=str(number), by="customer")
        await tower.hear(gone, f"gone {number}", source="/orders", correlation_id=own, subject=f"order/{number}")


async def _replay(tower: Processes) -> None:
    for letter in tower.letters():
        worker = tower.workers[letter.routing_key.partition(".")[0]]
        attempt = int(str(letter.headers["hocket-death-attempt"])) + 1
        await worker.send(letter.routing_key, letter.body, letter.content_type, replay="r", attempt=attempt)


async def _rows(worker: Worker) -> list[tuple[str, str, str]]:
    async with worker.runtime.store.read() as db:
        found = await db.exec_driver_sql("SELECT step, scope, state FROM hocket_ledger")
        return [(row.step.partition(".")[2], row.scope.strip('["]'), row.state) for row in found]


async def _run(plan: Plan, folder: Path) -> Shop:
    with virtual_time() as clock:
        tower, books = Processes(folder, clock), Books(plan)
        await tower.post.open()
        await tower.post.until_ready()
        await tower.post.declare(kit())
        for service in SERVICES:
            await tower.start(service.using(books))
        await asyncio.gather(
            _kills(tower, books, plan), *(_orders(tower, n, each) for n, each in enumerate(plan.orders))
        )
        await asyncio.sleep(LONG)
        await tower.quiet()
        dead = _dead(tower)
        if plan.replayed:
            await _replay(tower)
            await asyncio.sleep(LONG)
            await tower.quiet()
        keys = {(each.type, each.subject.rpartition("/")[2], each.idempotency_key) for each in tower.log()}
        ledger = [row for worker in tower.workers.values() for row in await _rows(worker)]
        await tower.close()
    return Shop(books, Counter((type_, order) for type_, order, _ in keys), tuple(ledger), dead)


def _dead(tower: Processes) -> Counter[str]:
    found: Counter[str] = Counter()
    for letter in tower.letters():
        envelope = read(letter.body, letter.content_type, {}, tower.clock.now()).envelope
        kind = "undo " if envelope.type == UNDO_TYPE else ""
        found[f"{kind}{letter.routing_key} {envelope.subject.rpartition('/')[2]}"] += 1
    return found


def run(plan: Plan, folder: Path) -> Shop:
    """Run one history to its end."""
    return asyncio.run(_run(plan, folder))

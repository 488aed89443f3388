"""The customers and the carrier's driver: post, ask again until answered, cancel, deliver, send back."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deploy.demo.bodies import lead
from deploy.demo.place import StepFailed
from deploy.demo.posting import Post, Posting, cancellation, delivery
from deploy.demo.world import World
from tests.chaos.customers_plan import Order, orders
from tests.chaos.play.site import Site

#: Seconds between two tries of one request, and that one try may take.
AGAIN_SECONDS, TRY_SECONDS = 0.5, 5.0
#: Seconds between two looks at which orders are shipped or delivered.
LOOK_SECONDS = 2.0
#: Leads for each order.
LEADS = 0.25


class Customers:
    """Everybody outside who asks the shop for something; every post is written down with its answer."""

    def __init__(self, seed: int, rate: float, site: Site) -> None:
        self._orders = orders(seed)
        self._rate = rate
        self._seed = seed
        self._replicas: dict[str, Iterator[str]] = {
            service: itertools.cycle(site.replicas_of(service)) for service in ("orders", "ingress", "shipping")
        }
        self._world = World(site, TRY_SECONDS)
        self._posting = Posting(self._world)
        self._stopped = asyncio.Event()
        self.placed: dict[str, Order] = {}  # by order id
        self.cancelled: set[str] = set()
        self.delivered: set[str] = set()
        self.failed: list[str] = []

    async def close(self) -> None:
        """Close the connections and the record."""
        await self._world.close()
        self._posting.close()

    async def shop(self, seconds: float) -> None:
        """Post orders and leads for so long; returns when everything that was begun is answered."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.TaskGroup() as tasks:
            for number in itertools.count():
                at = end - seconds + number / self._rate
                if at >= end:
                    break
                await asyncio.sleep(max(0.0, at - loop.time()))
                tasks.create_task(self._order(next(self._orders)))
                if number * LEADS == int(number * LEADS):
                    tasks.create_task(self._lead(int(number * LEADS)))

    async def carry(self) -> None:
        """The carrier's driver and those who send back: deliver what is shipped, return it, until told to stop."""
        while not self._stopped.is_set():
            await self._delivered(await self._known())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._stopped.wait()

    def stop(self) -> None:
        """Deliver nothing more, send nothing back."""
        self._stopped.set()

    async def _delivered(self, known: Iterable[Mapping[str, Any]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for row in known:
                order = self.placed.get(row["order_id"])
                if order is None:
                    continue
                if row["state"] == "shipped" and order.delivered and row["order_id"] not in self.delivered:
                    tasks.create_task(self._deliver(row["order_id"]))
                if row["state"] == "delivered" and order.returned and row["order_id"] not in self.cancelled:
                    tasks.create_task(self._cancel(row["order_id"], "sent back"))

    async def _order(self, order: Order) -> None:
        key = f"order-{self._seed}-{order.number}"
        post = _post("order", "orders", key, order.body(), "Idempotency-Key")
        answers = await asyncio.gather(*(self._answer(post) for _ in range(2 if order.twice else 1)))
        if (order_id := str(answers[0].get("order_id", ""))) == "":
            return
        self.placed[order_id] = order
        if order.cancel_after is not None:
            await asyncio.sleep(order.cancel_after)
            await self._cancel(order_id, "changed my mind")

    async def _lead(self, number: int) -> None:
        key = f"lead-{self._seed}-{number}"
        await self._answer(_post("lead", "ingress", key, lead(number), "X-Delivery-Id"))

    async def _cancel(self, order_id: str, reason: str) -> None:
        self.cancelled.add(order_id)
        await self._answer(cancellation(order_id, reason))

    async def _deliver(self, order_id: str) -> None:
        self.delivered.add(order_id)
        await self._answer(delivery(order_id))

    async def _answer(self, post: Post) -> Mapping[str, Any]:
        """Post, to one replica after the other, until it is answered below 500; the answer."""
        while True:
            answer, _ = await self._posting.once(post, next(self._replicas[post.service]))
            if answer is not None:
                if not answer.taken:
                    self.failed.append(f"{post.kind} {post.key} was answered {answer.status}: {answer.body}")
                return answer.body
            await asyncio.sleep(AGAIN_SECONDS)

    async def _known(self) -> list[dict[str, Any]]:
        """Every order as the shop shows it; [] where it does not answer."""
        try:
            return await self._world.rows(next(self._replicas["orders"]), "/orders", "orders")
        except StepFailed:
            return []


def _post(kind: str, service: str, key: str, body: Mapping[str, Any], header: str) -> Post:
    return Post(kind, key, service, f"/{kind}s", body, {"email": str(body["email"])}, {header: key})

"""The customers and the carrier's driver: post, ask again until answered, cancel, deliver, send back."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import aiohttp

from tests.chaos.customers_plan import Order, lead, orders
from tests.chaos.play.site import Site

#: Seconds between two tries of one request, and that one try may take.
AGAIN_SECONDS, TRY_SECONDS = 0.5, 5.0
#: Seconds between two looks at which orders are shipped or delivered.
LOOK_SECONDS = 2.0
#: Longest page of orders.
PAGE = 500
#: Leads for each order.
LEADS = 0.25


class Customers:
    """Everybody outside who asks the shop for something; every post is written down with its answer."""

    def __init__(self, seed: int, rate: float, site: Site) -> None:
        self._orders = orders(seed)
        self._rate = rate
        self._seed = seed
        self._site = site
        self._urls: dict[str, Iterator[str]] = {
            service: itertools.cycle(site.addresses(service)) for service in ("orders", "ingress", "shipping")
        }
        self._record = site.posts.open("w", encoding="utf-8")
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TRY_SECONDS))
        self._stopped = asyncio.Event()
        self.placed: dict[str, Order] = {}  # by order id
        self.cancelled: set[str] = set()
        self.delivered: set[str] = set()
        self.failed: list[str] = []

    async def close(self) -> None:
        """Close the connections and the record."""
        await self._http.close()
        self._record.close()

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
        body = order.body()

        def post() -> Any:
            return self._post("order", "orders", "/orders", {"Idempotency-Key": key}, key, body)

        answers = await asyncio.gather(*(post() for _ in range(2 if order.twice else 1)))
        if (order_id := str(answers[0].get("order_id", ""))) == "":
            return
        self.placed[order_id] = order
        if order.cancel_after is not None:
            await asyncio.sleep(order.cancel_after)
            await self._cancel(order_id, "changed my mind")

    async def _lead(self, number: int) -> None:
        key = f"lead-{self._seed}-{number}"
        await self._post("lead", "ingress", "/leads", {"X-Delivery-Id": key}, key, lead(number))

    async def _cancel(self, order_id: str, reason: str) -> None:
        self.cancelled.add(order_id)
        path = f"/orders/{order_id}/cancellations"
        await self._post("cancellation", "orders", path, {}, f"cancel-{order_id}", {"reason": reason}, order_id)

    async def _deliver(self, order_id: str) -> None:
        self.delivered.add(order_id)
        key = f"deliver-{order_id}"
        await self._post("delivery", "shipping", "/deliveries", {}, key, {"order_id": order_id}, order_id)

    async def _post(
        self,
        kind: str,
        service: str,
        path: str,
        headers: Mapping[str, str],
        key: str,
        body: Mapping[str, object],
        order_id: str = "",
    ) -> dict[str, Any]:
        """Post, to one replica after the other, until it is answered below 500; the answer."""
        about = {"kind": kind, "key": key, "email": body.get("email", ""), "order_id": order_id}
        while True:
            post = {**about, "at": round(time.time(), 3)}
            try:
                url = next(self._urls[service]) + path
                async with self._http.post(url, json=body, headers=headers) as answer:
                    raw = await answer.read()
                    status, said = answer.status, json.loads(raw) if raw and "json" in answer.content_type else {}
            except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
                error = str(failed) or type(failed).__name__
                self._write({**post, "status": None, "answer": {}, "error": error})
            else:
                self._write({**post, "status": status, "answer": said, "error": ""})
                if status < 500:
                    if status >= 300:
                        self.failed.append(f"{kind} {key} was answered {status}: {said}")
                    return dict(said)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _known(self) -> list[dict[str, Any]]:
        """Every order as the shop shows it; [] where it does not answer."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        try:
            while after is not None:
                url = f"{next(self._urls['orders'])}/orders?after={after}&limit={PAGE}"
                async with self._http.get(url) as answer:
                    page = await answer.json()
                    found += page["orders"]
                    after = page["next"]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError):
            return []
        return found

    def _write(self, line: Mapping[str, object]) -> None:
        self._record.write(json.dumps(line) + "\n")
        self._record.flush()

"""What comes later: parcels arrive, and some customers send theirs back."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from deploy.demo.load import Load
from deploy.demo.place import StepFailed
from deploy.demo.plan import Plan, Sort
from deploy.demo.posting import TRIES, Posting
from deploy.demo.progress import Told
from deploy.demo.world import World

#: Seconds between two rounds of the carrier.
ROUND_SECONDS = 1.0
#: States in which an order has a parcel some day, unless it is cancelled.
UNDER_WAY = frozenset({"placed", "confirmed", "shipped"})


class Afterwards:
    """The carrier's rounds and the returns, until every parcel that is to arrive has arrived."""

    def __init__(self, plan: Plan, world: World, load: Load, posting: Posting, told: Told) -> None:
        self._plan = plan
        self._world = world
        self._load = load
        self._posting = posting
        self._told = told
        self._delivered: set[str] = set()
        self._returned: set[str] = set()

    async def happen(self) -> None:
        """Go round until nothing is left to be delivered or returned, at most so long as the plan says."""
        left: list[str] = []
        ends: float | None = None
        loop = asyncio.get_running_loop()
        done = False
        while not done:
            await asyncio.sleep(ROUND_SECONDS)
            posted = self._load.posted
            if posted and ends is None:
                ends = loop.time() + self._plan.delivered_seconds
            if ends is not None and loop.time() > ends:
                self._told.miss(f"{len(left)} orders were neither delivered nor cancelled, as {', '.join(left[:3])}")
                break
            with contextlib.suppress(StepFailed):
                left = await self._round()
                done = posted and not left
        self._told.say(f"{len(self._delivered)} parcels arrived, {len(self._returned)} of them were sent back.")

    async def _round(self) -> list[str]:
        """One round; the orders that still have something before them."""
        orders = [order for order in await self._world.rows("orders", "/orders", "orders") if self._is_ours(order)]
        await asyncio.gather(*(self._deliver(order["order_id"]) for order in orders if order["state"] == "shipped"))
        back = [order["order_id"] for order in orders if order["state"] == "delivered" and self._comes_back(order)]
        await asyncio.gather(*(self._send_back(order_id) for order_id in back))
        return [order["order_id"] for order in orders if order["state"] in UNDER_WAY] + back

    def _is_ours(self, order: Mapping[str, Any]) -> bool:
        number = self._load.numbers.get(order["order_id"])
        return number is not None and self._plan.delivered(number, self._load.sorts[number])

    def _comes_back(self, order: Mapping[str, Any]) -> bool:
        return self._load.sorts[self._load.numbers[order["order_id"]]] is Sort.RETURNED

    async def _deliver(self, order_id: str) -> None:
        if order_id in self._delivered:
            return
        answer, why = await self._posting.deliver(order_id)
        if answer is None:
            self._told.miss(f"the delivery of order/{order_id} was not taken in {TRIES} tries ({why})")
        elif answer.taken:
            self._delivered.add(order_id)

    async def _send_back(self, order_id: str) -> None:
        if order_id in self._returned:
            return
        answer, why = await self._posting.cancel(order_id, "I send it back")
        if answer is None:
            self._told.miss(f"the return of order/{order_id} was not taken in {TRIES} tries ({why})")
        elif answer.taken:
            self._returned.add(order_id)

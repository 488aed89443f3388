"""The customers: post orders and leads at a steady pace, some twice, and write down each post and its answer."""

import asyncio
import json
import secrets
import time
from typing import Any

from deploy.demo.plan import Plan, Sort
from deploy.demo.progress import Told
from deploy.demo.world import Unanswered, World

#: Times that one post is tried, and seconds between two tries.
TRIES = 6
TRY_SECONDS = 0.5
#: Posts under way at once.
UNDER_WAY = 50
#: Milliseconds after which the card system answers a slow charge: longer than anybody waits.
SLOW_MS = 3000
#: Different goods in the shop.
GOODS = 12


def customer(number: int) -> str:
    """The address of the customer of order `number`."""
    return f"customer{number:04}@example.com"


def interested(number: int) -> str:
    """The address of lead `number`."""
    return f"lead{number:04}@example.com"


class Load:
    """Posts the plan."""

    def __init__(self, plan: Plan, world: World, told: Told) -> None:
        self._plan = plan
        self._world = world
        self._told = told
        self._run = secrets.token_hex(4)
        self._record = world.place.posts.open("w", encoding="utf-8")
        self._slots = asyncio.Semaphore(UNDER_WAY)
        self._keys: set[str] = set()
        self.order_ids: list[str] = []
        self.leads: set[str] = set()
        self.begun = 0.0  # loop time of the first post

    def close(self) -> None:
        """Close the record."""
        self._record.close()

    async def at(self, seconds: float) -> None:
        """Wait until so many seconds after the first post."""
        await asyncio.sleep(max(0.0, self.begun + seconds - asyncio.get_running_loop().time()))

    async def post_orders(self) -> None:
        """Post every order."""
        async with asyncio.TaskGroup() as tasks:
            for number, sort in enumerate(self._plan.sorts()):
                await self.at(number * self._plan.order_gap)
                tasks.create_task(self._order(number, sort))
        self._told.say(f"All {self._plan.orders} orders are posted.")

    async def post_leads(self) -> None:
        """Post every lead."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._plan.leads):
                await self.at(number * self._plan.lead_gap)
                tasks.create_task(self._lead(number))

    async def _order(self, number: int, sort: Sort) -> None:
        card = f"declined-{number:04}" if sort is Sort.DECLINED else f"card-{number:04}"
        body = {
            "customer": f"Customer {number}",
            "email": customer(number),
            "card": card,
            "sku": f"sold-out-{number % GOODS}" if sort is Sort.SOLD_OUT else f"sku-{number % GOODS}",
            "quantity": 1 + number % 3,
            "total_cents": 1000 + 137 * number,
        }
        if sort is Sort.SLOW:
            await self._world.fault("cards", "timeout_after", match={"card": card}, times=1, delay_ms=SLOW_MS)
        key = f"order-{self._run}-{number}"
        await self._twice(number, "order", "orders", {"Idempotency-Key": key}, key, body)

    async def _lead(self, number: int) -> None:
        body = {"email": interested(number), "campaign": f"campaign {number % 4}"}
        key = f"delivery-{self._run}-{number}"
        await self._twice(number, "lead", "ingress", {"X-Delivery-Id": key}, key, body)

    async def _twice(
        self, number: int, kind: str, service: str, headers: dict[str, str], key: str, body: dict[str, Any]
    ) -> None:
        """Post it; of some a second time, at once or after the first answer."""
        async with self._slots:
            if not self._plan.twice(number):
                await self._post(kind, service, headers, key, body)
            elif number % 2:
                await self._post(kind, service, headers, key, body)
                await self._post(kind, service, headers, key, body)
            else:
                await asyncio.gather(*(self._post(kind, service, headers, key, body) for _ in range(2)))

    async def _post(self, kind: str, service: str, headers: dict[str, str], key: str, body: dict[str, Any]) -> None:
        said = ""
        for _ in range(TRIES):
            post: dict[str, Any] = {"kind": kind, "key": key, "email": body["email"], "at": round(time.time(), 3)}
            try:
                status, answer = await self._world.ask("POST", service, f"/{kind}s", body=body, headers=headers)
            except Unanswered as failed:
                said = str(failed)
                self._write({**post, "status": None, "answer": {}, "error": said})
            else:
                said = f"status {status}"
                self._write({**post, "status": status, "answer": answer, "error": ""})
                if status < 300:
                    self._taken(kind, key, body["email"], answer)
                if status < 500:
                    return
            await asyncio.sleep(TRY_SECONDS)
        if key not in self._keys:  # one that was taken before and not again is the auditor's to name
            self._told.miss(f"the {kind} {key} was not taken in {TRIES} tries ({said})")

    def _taken(self, kind: str, key: str, email: str, answer: dict[str, Any]) -> None:
        self._keys.add(key)
        if kind == "lead":
            self.leads.add(email)
        elif answer["order_id"] not in self.order_ids:
            self.order_ids.append(answer["order_id"])

    def _write(self, line: dict[str, Any]) -> None:
        self._record.write(json.dumps(line) + "\n")
        self._record.flush()

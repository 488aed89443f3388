"""The customers: post orders and leads at a steady pace, some twice; some change their mind at once."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from deploy.demo.bodies import CARD, DECLINED_CARD, SKU, SOLD_OUT_SKU, card_of, interested, lead, order
from deploy.demo.plan import Plan, Sort
from deploy.demo.posting import TRIES, Answer, Post, Posting
from deploy.demo.progress import Told
from deploy.demo.world import Unanswered, World

#: Posts under way at once.
UNDER_WAY = 50
#: Milliseconds after which the card system answers a slow authorisation: longer than anybody waits.
SLOW_MS = 3000
#: Seconds until customers change their mind, in turn: before, while and after the shop works on their order.
SECOND_THOUGHTS = (0.0, 0.2, 0.5, 3.0)
#: The header by which the view shows at least what was just placed, its answer while it cannot, and the seconds until
#: it is asked again.
TOKEN, BEHIND, AGAIN_SECONDS = "Hocket-Token", 503, 1.0


class Load:
    """Posts the plan."""

    def __init__(self, plan: Plan, world: World, posting: Posting, told: Told) -> None:
        self._plan = plan
        self._world = world
        self._posting = posting
        self._told = told
        self._run = secrets.token_hex(4)
        self._slots = asyncio.Semaphore(UNDER_WAY)
        self.sorts = plan.sorts()
        self.numbers: dict[str, int] = {}  # of each order that was taken, by its id
        self.leads: set[str] = set()
        self.looked = 0  # customers who saw the order that they had just placed
        self.waited = 0  # times that the view was still behind and said so
        self.posted = False  # every order
        self.begun = 0.0  # loop time of the first post

    async def at(self, seconds: float) -> None:
        """Wait until so many seconds after the first post."""
        await asyncio.sleep(max(0.0, self.begun + seconds - asyncio.get_running_loop().time()))

    def order_id(self, number: int) -> str:
        """The id of an order; "" where it was not taken."""
        return next((order_id for order_id, its in self.numbers.items() if its == number), "")

    async def post_orders(self) -> None:
        """Post every order."""
        async with asyncio.TaskGroup() as tasks:
            for number, sort in enumerate(self.sorts):
                await self.at(number * self._plan.order_gap)
                tasks.create_task(self._order(number, sort))
        self.posted = True
        self._told.say(f"All {self._plan.orders} orders are posted.")
        self._told.say(
            f"{self.looked} customers looked at their order at once and saw it ({self.waited} times only when asked "
            f"again): {self._world.place.url('order_view')}/orders"
        )

    async def post_leads(self) -> None:
        """Post every lead."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._plan.leads):
                await self.at(number * self._plan.lead_gap)
                tasks.create_task(self._lead(number))

    async def _order(self, number: int, sort: Sort) -> None:
        body = order(
            number,
            card=DECLINED_CARD if sort is Sort.DECLINED else CARD,
            sku=SOLD_OUT_SKU if sort is Sort.SOLD_OUT else SKU,
        )
        if sort is Sort.SLOW:
            match = {"card": card_of(number)}
            await self._world.fault(
                "cards", "timeout_after", api="cards/authorisations", match=match, times=1, delay_ms=SLOW_MS
            )
        key = f"order-{self._run}-{number}"
        answers = await self._twice(number, "order", "orders", {"Idempotency-Key": key}, key, body)
        for answer in answers:
            self.numbers[answer.body["order_id"]] = number
        if answers and number % self._plan.look_every == 0:
            await self._look(answers[0])
        if sort is Sort.CHANGED_MIND and (order_id := self.order_id(number)):
            await self._change_mind(number, order_id)

    async def _look(self, placed: Answer) -> None:
        """Whoever has just placed an order looks at it, with the token of the answer: it must be there."""
        order_id, headers, said = placed.body["order_id"], {TOKEN: placed.headers.get(TOKEN, "")}, ""
        for _ in range(TRIES):
            try:
                status, found = await self._world.ask("GET", "order_view", f"/orders/{order_id}", headers=headers)
            except Unanswered as failed:
                status, found, said = BEHIND, {}, str(failed)
            else:
                said = f"status {status}"
            if status == 200 and found["order"]["placed_at"]:
                self.looked += 1
                return
            if status != BEHIND:
                break
            self.waited += 1
            await asyncio.sleep(AGAIN_SECONDS)
        self._told.miss(f"order/{order_id} was placed, and whoever looked at it with its token did not see it ({said})")

    async def _change_mind(self, number: int, order_id: str) -> None:
        await asyncio.sleep(SECOND_THOUGHTS[number % len(SECOND_THOUGHTS)])
        for _ in range(2 if self._plan.twice(number) else 1):
            answer, why = await self._posting.cancel(order_id, "I changed my mind")
            if answer is None:
                self._told.miss(f"the cancellation of order/{order_id} was not taken in {TRIES} tries ({why})")

    async def _lead(self, number: int) -> None:
        key = f"delivery-{self._run}-{number}"
        if await self._twice(number, "lead", "ingress", {"X-Delivery-Id": key}, key, lead(number)):
            self.leads.add(interested(number))

    async def _twice(
        self, number: int, kind: str, service: str, headers: dict[str, str], key: str, body: Mapping[str, Any]
    ) -> list[Answer]:
        """Post it; of some a second time, at once or after the first answer. Those answers that said yes."""
        post = Post(kind, key, service, f"/{kind}s", body, {"email": body["email"]}, headers)
        async with self._slots:
            if not self._plan.twice(number):
                answers = [await self._posting.post(post)]
            elif number % 2:
                answers = [await self._posting.post(post), await self._posting.post(post)]
            else:
                answers = list(await asyncio.gather(*(self._posting.post(post) for _ in range(2))))
        taken = [answer for answer, _ in answers if answer is not None and answer.taken]
        if not taken:  # one that was taken once and not again is the auditor's to name
            why = answers[0][1] or f"status {answers[0][0].status if answers[0][0] else None}"
            self._told.miss(f"the {kind} {key} was not taken in {TRIES} tries ({why})")
        return taken

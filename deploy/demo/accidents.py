"""The accidents of real life, each at its time, each with what must be seen of it from the outside."""

import asyncio
from collections.abc import Callable
from typing import Any

from deploy.demo.doubles import double
from deploy.demo.load import Load, customer, interested
from deploy.demo.plan import Plan, Sort
from deploy.demo.progress import Told
from deploy.demo.stage import Stage, ready
from deploy.demo.world import World, until

#: Charges that are held back while payments is killed, for so many milliseconds: fewer than open the breaker, so that
#: the books tell of a death and not of an ill card system.
HELD, HELD_MS = 3, 1500
#: Of them, how many must be in flight, and seconds within which.
IN_FLIGHT = 2
IN_FLIGHT_SECONDS = 5.0
#: Orders that may be open before, so that what waited for the breaker is done, and seconds to wait for that.
CALM_ORDERS = 8
CALM_SECONDS = 8.0
#: Events that travel twice each time.
DOUBLES = 30
#: Seconds to wait for: crm to catch up, the breaker to close, letters to arrive, replays to be handled.
CATCH_UP_SECONDS = 45.0
CLOSE_SECONDS = 40.0
LETTER_SECONDS = 60.0
REPLAY_SECONDS = 45.0
#: Seconds between the return of payments and the mending of the mail system.
BEFORE_MENDING = 2.0
#: What a program says to the desk when it acts.
ACT = {"X-Hocket-Act": "1"}


class Accidents:
    """Everything that goes wrong in one demo; `prepare` before the first post."""

    def __init__(self, plan: Plan, world: World, stage: Stage, load: Load, told: Told) -> None:
        self._plan = plan
        self._world = world
        self._stage = stage
        self._load = load
        self._told = told
        self._mail_faults: list[int] = []

    async def prepare(self) -> None:
        """Let the mail system be down for some addresses from the start."""
        plan = self._plan
        addresses = [customer(at) for at, sort in enumerate(plan.sorts()) if sort is Sort.MAIL_DOWN]
        addresses += [interested(at) for at in range(plan.leads) if plan.mail_down_lead(at)]
        self._mail_faults = [await self._world.fault("mail", "down", match={"to": each}) for each in addresses]
        self._told.say(f"The mail system is down for {len(addresses)} addresses.")

    def all(self) -> list[Callable[[], Any]]:
        """Each accident, to be run at once with the load."""
        return [self.crm_away, self.cards_ill, self.payments_killed, self.doubled, self.mails_mended]

    async def crm_away(self) -> None:
        """`crm` is stopped for a while: welcomes go on, and then it catches up."""
        plan, world, told = self._plan, self._world, self._told
        await self._load.at(plan.crm_at)
        await self._stage.stop("crm")
        first = await world.mails("welcome")
        told.say(f"crm is stopped for {plan.crm_seconds:.0f} s; leads keep coming.")
        await asyncio.sleep(plan.crm_seconds)
        welcomed = await world.mails("welcome") - first
        if welcomed:
            told.say(f"{welcomed} welcomes went out while crm was stopped; it is started again.")
        else:
            told.miss("no welcome went out while crm was stopped")
        await self._stage.start("crm")
        await ready(self._stage, world, "crm")
        waiting = set(self._load.leads)

        async def caught_up() -> bool:
            lines = await world.rows("sandbox", "/books/crm", "books")
            return waiting <= {line["request"].get("email") for line in lines if line["did"] == "entered"}

        if await until(caught_up, CATCH_UP_SECONDS):
            told.say(f"crm has caught up: {len(waiting)} leads are entered.")
        else:
            told.miss(f"crm has not caught up after {CATCH_UP_SECONDS:.0f} s; {world.log_of('crm')}")

    async def cards_ill(self) -> None:
        """The card system answers 500: a breaker opens, the cards see only probes, then it closes."""
        plan, world, told = self._plan, self._world, self._told
        await self._load.at(plan.cards_at)
        await world.fault("cards", "error", seconds=plan.cards_seconds)
        told.say(f"The card system answers 500 for {plan.cards_seconds:.0f} s.")

        async def opened() -> bool:
            return await world.breaker() != "closed"

        if await until(opened, plan.cards_seconds):
            told.say("The breaker around the cards is open: new orders wait, the cards are left alone.")
        else:
            told.miss(f"the breaker around the cards did not open; {world.log_of('payments')}")
        await self._load.at(plan.cards_at + plan.cards_seconds)

        async def closed() -> bool:
            return await world.breaker() == "closed"

        if await until(closed, CLOSE_SECONDS):
            lines = await world.rows("sandbox", "/books/cards", "books")
            asked = sum(line["fault"] == "error" for line in lines)
            told.say(f"The breaker is closed again; the cards were asked {asked} times while they were ill.")
        else:
            told.miss(f"the breaker around the cards did not close; {world.log_of('payments')}")

    async def payments_killed(self) -> None:
        """`payments` is killed with charges in flight, and started again."""
        world, told = self._world, self._told
        await self._load.at(self._plan.kill_at)

        async def calm() -> bool:
            return (await world.states())["placed"] <= CALM_ORDERS

        await until(calm, CALM_SECONDS)
        fault = await world.fault("cards", "delay", times=HELD, delay_ms=HELD_MS)

        async def in_flight() -> bool:
            return await world.left(fault) <= HELD - IN_FLIGHT

        if not await until(in_flight, IN_FLIGHT_SECONDS):
            told.miss("no charges were in flight when payments was killed")
        await self._stage.kill("payments")
        await world.mend(fault)
        told.say("payments was killed (SIGKILL) with charges in flight; it is started again.")
        await self._stage.start("payments")
        await ready(self._stage, world, "payments")
        told.say("payments is back.")

    async def doubled(self) -> None:
        """Events travel twice."""
        for at in self._plan.doubles_at:
            await self._load.at(at)
            async with self._stage.transport() as transport:
                count = await double(transport, list(self._load.order_ids), DOUBLES)
            if count:
                self._told.say(f"{count} order.placed events were published a second time.")
            else:
                self._told.miss("no order.placed event was found in the log to be doubled")

    async def mails_mended(self) -> None:
        """Mails have become dead letters; the cause is mended, and they are replayed through the desk."""
        world, told = self._world, self._told
        many = len(self._mail_faults)
        if not await until(self._all_dead, LETTER_SECONDS):
            told.miss(f"fewer than {many} letters reached the desk in {LETTER_SECONDS:.0f} s")
        else:
            told.say(f"{many} mails are dead letters: look at {world.place.url('deadletters')}.")
        await self._load.at(self._plan.kill_at + BEFORE_MENDING)
        for fault in self._mail_faults:
            await world.mend(fault)
        ids = [letter["id"] for letter in await self._dead_mails()]
        for id in ids:
            status, answer = await world.ask(
                "POST",
                "deadletters",
                f"/api/dead/{id}/replay",
                body={"reason": "the mail system works again"},
                headers=ACT,
            )
            if status != 202:
                told.miss(f"the desk did not replay letter {id}: {status} {answer.get('error', '')}")
        told.say(f"The mail system works again; {len(ids)} letters are replayed through the desk.")

        async def handled() -> bool:
            states = {letter["id"]: letter["state"] for letter in await world.letters()}
            return all(states.get(id) == "handled" for id in ids)

        if await until(handled, REPLAY_SECONDS):
            told.say(f"{len(ids)} replayed letters are handled.")
        else:
            told.miss(f"not every replayed letter was handled in {REPLAY_SECONDS:.0f} s")

    async def _all_dead(self) -> bool:
        return len(await self._dead_mails()) >= len(self._mail_faults)

    async def _dead_mails(self) -> list[dict[str, Any]]:
        """Letters of mails that the mail system did not take."""
        pending = await self._world.letters("pending")
        return [
            letter
            for letter in pending
            if letter["service"] == "notifications" and letter["cause"] == "ClientResponseError"
        ]

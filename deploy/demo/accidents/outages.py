"""Outside systems that are ill: the cards fail, the carrier is down, the mail system asks to be left alone."""

import asyncio

from deploy.auditor.judging import TOO_LATE
from deploy.demo.accidents.scene import Scene
from deploy.demo.world import BREAKERS, until

#: Seconds to wait for a breaker to close after the end of an outage, and for the first time-out to fire within one.
CLOSE_SECONDS = 40.0
TIMED_OUT_SECONDS = 45.0
#: Seconds within which some mail must be sent, so that a breaker opens for its answer.
LIMITED_SECONDS = 30.0
#: Confirmed orders that are no backlog any more, and seconds to wait for that after the carrier came back.
CALM_ORDERS = 5
CALM_SECONDS = 10.0


async def cards_ill(scene: Scene) -> None:
    """The card system answers 500: a breaker opens, the cards see only probes, then it closes."""
    plan, world, told = scene.plan, scene.world, scene.told
    await scene.load.at(plan.cards_at)
    await world.fault("cards", "error", seconds=plan.cards_seconds)
    told.say(f"The card system answers 500 for {plan.cards_seconds:.0f} s.")
    await _opened(scene, "payments", plan.cards_seconds, "new orders wait, the cards are left alone")
    await scene.load.at(plan.cards_at + plan.cards_seconds)
    waiting = (await world.states())["placed"]
    told.say(f"The cards are well again; {waiting} orders wait for the breaker, which costs no attempts.")
    await _closed(scene, "payments", "cards", "error")


async def carrier_down(scene: Scene) -> None:
    """The carrier is away for longer than an order may take: the time-out cancels what waits for it."""
    plan, world, told = scene.plan, scene.world, scene.told
    await scene.load.at(plan.carrier_at)
    await world.fault("carrier", "down", seconds=plan.carrier_seconds)
    told.say(f"The carrier is down for {plan.carrier_seconds:.0f} s; an order may take 30 s until it is shipped.")
    await _opened(scene, "shipping", plan.carrier_seconds, "confirmed orders wait")

    async def fired() -> bool:
        return await _timed_out(scene) > 0

    if await until(fired, TIMED_OUT_SECONDS):
        told.say("The first time-out has fired: the order is cancelled, its money let go, its goods given back.")
    else:
        told.miss("no order was cancelled by its time-out while the carrier was down")
    await scene.load.at(plan.carrier_at + plan.carrier_seconds)
    await _closed(scene, "shipping", "carrier", "down")

    async def shipped() -> bool:
        return (await world.states())["confirmed"] <= CALM_ORDERS

    await until(shipped, CALM_SECONDS)
    told.say(f"{await _timed_out(scene)} orders were cancelled by their time-out; the others are on their way.")


async def mail_limited(scene: Scene) -> None:
    """The mail system answers 429 with Retry-After, and is left alone for so long."""
    plan, world, told = scene.plan, scene.world, scene.told
    await scene.load.at(plan.limit_at)
    fault = await world.fault("mail", "limit", retry_after=plan.retry_after)
    told.say(f"The mail system answers 429, Retry-After {plan.retry_after} s.")
    await _opened(scene, "notifications", LIMITED_SECONDS, "at the first such answer; mails wait")
    await asyncio.sleep(plan.limit_seconds)
    await world.mend(fault)
    await _closed(scene, "notifications", "mail", "limit")


async def _opened(scene: Scene, service: str, seconds: float, then: str) -> None:
    async def opened() -> bool:
        return await scene.world.breaker(service) != "closed"

    if await until(opened, seconds):
        scene.told.say(f"The breaker {BREAKERS[service]} of {service} is open: {then}.")
    else:
        scene.told.miss(f"the breaker {BREAKERS[service]} did not open; {scene.world.log_of(service)}")


async def _closed(scene: Scene, service: str, target: str, fault: str) -> None:
    """Wait until the breaker is closed again, and say how often the system was asked while it was ill."""
    world, told = scene.world, scene.told

    async def closed() -> bool:
        return await world.breaker(service) == "closed"

    if await until(closed, CLOSE_SECONDS):
        lines = await world.rows("sandbox", f"/books/{target}", "books")
        asked = sum(line["fault"] == fault for line in lines)
        told.say(f"The breaker {BREAKERS[service]} is closed again; {target} was asked {asked} times while it was ill.")
    else:
        told.miss(f"the breaker {BREAKERS[service]} did not close; {world.log_of(service)}")


async def _timed_out(scene: Scene) -> int:
    orders = await scene.world.rows("orders", "/orders", "orders")
    return sum(order["reason"] == TOO_LATE for order in orders)

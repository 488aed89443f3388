"""Services that go away, and events that travel twice."""

import asyncio

from deploy.demo.accidents.doubles import double
from deploy.demo.accidents.scene import Scene
from deploy.demo.stage import ready
from deploy.demo.world import until

#: Calls to the cards that are held back while payments is killed, for so many milliseconds: fewer than open the
#: breaker, so that the books tell of a death and not of an ill card system.
HELD, HELD_MS = 3, 1500
#: Of them, how many must be in flight, and seconds within which.
IN_FLIGHT = 2
IN_FLIGHT_SECONDS = 5.0
#: Orders that may be open before, so that what waited for the breaker is done, and seconds to wait for that.
CALM_ORDERS = 8
CALM_SECONDS = 8.0
#: Events that travel twice each time.
DOUBLES = 30
#: Seconds to wait for crm to catch up.
CATCH_UP_SECONDS = 45.0


async def crm_away(scene: Scene) -> None:
    """`crm` is stopped for a while: welcomes go on, and then it catches up."""
    plan, world, told = scene.plan, scene.world, scene.told
    await scene.load.at(plan.crm_at)
    await scene.stage.stop("crm")
    first = await world.mails("welcome")
    told.say(f"crm is stopped for {plan.crm_seconds:.0f} s; leads keep coming.")
    await asyncio.sleep(plan.crm_seconds)
    welcomed = await world.mails("welcome") - first
    if welcomed:
        told.say(f"{welcomed} welcomes went out while crm was stopped; it is started again.")
    else:
        told.miss("no welcome went out while crm was stopped")
    await scene.stage.start("crm")
    await ready(scene.stage, world, "crm")
    waiting = set(scene.load.leads)

    async def caught_up() -> bool:
        lines = await world.rows("sandbox", "/books/crm", "books")
        return waiting <= {line["request"].get("email") for line in lines if line["did"] == "entered"}

    if await until(caught_up, CATCH_UP_SECONDS):
        told.say(f"crm has caught up: {len(waiting)} leads are entered.")
    else:
        told.miss(f"crm has not caught up after {CATCH_UP_SECONDS:.0f} s; {world.log_of('crm')}")


async def payments_killed(scene: Scene) -> None:
    """`payments` is killed with calls in flight, and started again."""
    world, told = scene.world, scene.told
    await scene.load.at(scene.plan.kill_at)

    async def calm() -> bool:
        return (await world.states())["placed"] <= CALM_ORDERS

    await until(calm, CALM_SECONDS)
    fault = await world.fault("cards", "delay", times=HELD, delay_ms=HELD_MS)

    async def in_flight() -> bool:
        return await world.left(fault) <= HELD - IN_FLIGHT

    if not await until(in_flight, IN_FLIGHT_SECONDS):
        told.miss("no calls to the cards were in flight when payments was killed")
    await scene.stage.kill("payments")
    await world.mend(fault)
    told.say("payments was killed (SIGKILL) with calls to the cards in flight; it is started again.")
    await scene.stage.start("payments")
    await ready(scene.stage, world, "payments")
    told.say("payments is back.")


async def doubled(scene: Scene) -> None:
    """Events travel twice."""
    for at in scene.plan.doubles_at:
        await scene.load.at(at)
        async with scene.stage.transport() as transport:
            count = await double(transport, list(scene.load.numbers), DOUBLES)
        if count:
            scene.told.say(f"{count} order.placed events were published a second time.")
        else:
            scene.told.miss("no order.placed event was found in the log to be doubled")

"""What ends as a dead letter, and is settled by a person: mails, and a refund that makes a zombie."""

import asyncio
from collections.abc import Sequence
from typing import Any

from deploy.demo.accidents.scene import Scene
from deploy.demo.bodies import customer, interested
from deploy.demo.posting import TRIES
from deploy.demo.world import until

#: Seconds to wait for letters to arrive, replays to be handled, an order to be delivered, and the tracer to know it.
LETTER_SECONDS = 90.0
REPLAY_SECONDS = 45.0
DELIVERED_SECONDS = 60.0
TRACER_SECONDS = 45.0
#: Seconds between the return of payments and the mending of the mail system.
BEFORE_MENDING = 2.0
#: Seconds for which the zombie stands, so that somebody can look at it.
ZOMBIE_SECONDS = 5.0


async def mails_fail(scene: Scene) -> list[int]:
    """Let the mail system refuse some addresses, which opens no breaker; the faults."""
    plan = scene.plan
    addresses = [customer(at) for at in plan.mails_refused_at]
    addresses += [interested(at) for at in range(plan.leads) if plan.mail_refused_lead(at)]
    scene.told.say(f"The mail system refuses {len(addresses)} addresses.")
    return [await scene.world.fault("mail", "decline", match={"to": each}) for each in addresses]


async def mails_mended(scene: Scene, faults: Sequence[int]) -> None:
    """Mails have become dead letters; the cause is mended, and they are replayed through the desk."""
    world, told = scene.world, scene.told

    async def all_dead() -> bool:
        return len(await _pending(scene, "notifications")) >= len(faults)

    if not await until(all_dead, LETTER_SECONDS):
        told.miss(f"fewer than {len(faults)} letters reached the desk in {LETTER_SECONDS:.0f} s")
    else:
        told.say(f"{len(faults)} mails are dead letters: look at {world.place.url('deadletters')}.")
    await scene.load.at(scene.plan.kill_at + BEFORE_MENDING)
    for fault in faults:
        await world.mend(fault)
    letters = await _pending(scene, "notifications")
    told.say(f"The mail system takes those addresses again; {len(letters)} letters are replayed through the desk.")
    await _replay(scene, letters, "the mail system takes the address again")


async def refund_refused(scene: Scene) -> None:
    """A customer sends an order back, and the refund is refused: a zombie, until a person mends and replays it."""
    world, told = scene.world, scene.told
    await scene.load.at(scene.plan.refund_at)
    order_id = scene.load.order_id(scene.plan.unrefunded)

    async def delivered() -> bool:
        return bool((await world.order(order_id))["state"] == "delivered")

    if not order_id or not await until(delivered, DELIVERED_SECONDS):
        told.miss(f"order/{order_id}, whose refund was to be refused, was not delivered")
        return
    fault = await world.fault("cards", "decline", api="cards/refunds", match={"order_id": order_id})
    answer, why = await scene.posting.cancel(order_id, "I send it back")
    if answer is None or not answer.taken:
        told.miss(f"the return of order/{order_id} was not taken in {TRIES} tries ({why or answer})")
    told.say(f"order/{order_id} was delivered and is sent back, and the card system refuses its refund.")
    flow = str((await world.order(order_id))["flow"])

    async def zombie() -> bool:
        return await world.flow_state(flow) == "zombie"

    if await until(zombie, TRACER_SECONDS):
        told.say(f"It is a zombie, and team-money's work: {world.place.url('tracer')}/flows/{flow}")
    else:
        told.miss(f"the tracer does not show flow {flow} as a zombie")
    await asyncio.sleep(ZOMBIE_SECONDS)
    await world.mend(fault)
    told.say("The card system gives refunds again; the letter of the refund is replayed through the desk.")
    letters = [letter for letter in await _pending(scene, "payments") if letter["event"]["correlationid"] == flow]
    if not letters:
        told.miss(f"the desk has no letter about the refund of order/{order_id}")
    await _replay(scene, letters, "the card system gives refunds again")

    async def settled() -> bool:
        return await world.flow_state(flow) == "compensated"

    if await until(settled, TRACER_SECONDS):
        told.say(f"order/{order_id} is a zombie no more: its flow is compensated.")
    else:
        told.miss(f"flow {flow} is {await world.flow_state(flow)} after its replay, and not compensated")


async def _pending(scene: Scene, service: str) -> list[dict[str, Any]]:
    """Letters of a service that wait for a person."""
    return [letter for letter in await scene.world.letters("pending") if letter["service"] == service]


async def _replay(scene: Scene, letters: Sequence[dict[str, Any]], reason: str) -> None:
    """Replay these letters through the desk and wait until they are handled."""
    world, told = scene.world, scene.told
    for letter in letters:
        if refused := await world.replay(letter["id"], reason):
            told.miss(refused)
    ids = {letter["id"] for letter in letters}

    async def handled() -> bool:
        states = {letter["id"]: letter["state"] for letter in await world.letters()}
        return all(states.get(id) == "handled" for id in ids)

    if await until(handled, REPLAY_SECONDS):
        told.say(f"Replayed and handled: {', '.join(sorted({letter['subscription'] for letter in letters}))}.")
    else:
        told.miss(f"not every replayed letter was handled in {REPLAY_SECONDS:.0f} s")

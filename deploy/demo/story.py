"""One demo from the first service to the verdict."""

import asyncio
import contextlib
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deploy.auditor.evidence import Places, Unreadable, read
from deploy.auditor.finding import Kind
from deploy.auditor.judging import judge
from deploy.auditor.verdict import LEAST, checks, green
from deploy.demo.accidents.every import prepared
from deploy.demo.accidents.scene import Scene
from deploy.demo.afterwards import Afterwards
from deploy.demo.broker import Broker
from deploy.demo.in_one import InOne
from deploy.demo.load import Load
from deploy.demo.place import Place, StepFailed
from deploy.demo.plan import Plan
from deploy.demo.posting import Posting
from deploy.demo.progress import Told, plain
from deploy.demo.stage import Processes, Stage, begin
from deploy.demo.world import BREAKERS, Unanswered, World, until

#: Seconds between two lines of progress, and between two looks whether a service has ended by itself.
PROGRESS_SECONDS = 4.0
WATCH_SECONDS = 0.5
#: Seconds between two looks whether the books balance: each reads all of them.
SETTLE_LOOK_SECONDS = 1.0
#: What does not go away however long one waits.
FOR_GOOD = frozenset({Kind.DOUBLED, Kind.HAMMERED})
#: Seconds that the auditor may take.
AUDIT_SECONDS = 120.0
#: Exit status where the verdict is good and something the demo promises was not seen.
MISSED = 1


@asynccontextmanager
async def staged(place: Place, broker: Broker, sabotage: str) -> AsyncIterator[tuple[Stage, World]]:
    """The services and the way to them; all gone at the end, also where the start fails."""
    world = World(place)
    try:
        stage: Stage = InOne(place, broker.url, sabotage) if broker.memory else Processes(place, broker.url, sabotage)
        try:
            yield stage, world
        finally:
            await stage.close()
    finally:
        await world.close()


async def tell(place: Place, broker: Broker, plan: Plan, stage: Stage, world: World, told: Told) -> int:
    """Start everything, let it all happen, judge; the exit status. `StepFailed` where it cannot go on."""
    await begin(stage, world, told)
    posting = Posting(world)
    load = Load(plan, world, posting, told)
    try:
        await _act(Scene(plan, world, stage, load, posting, told))
    finally:
        posting.close()
    await _settle(place, plan, told)
    told.say("The auditor judges from the outside:")
    status = await _judge(place, broker, plan)
    for text in told.missed:
        plain(f"  NOT as it should be: {text}")
    plain(f"Report: {place.shown(place.report)}")
    return status or (MISSED if told.missed else 0)


async def stay(place: Place, broker: Broker, stage: Stage) -> None:
    """Say where to look, and stay until somebody ends it."""
    tracer, desk, orders = place.url("tracer"), place.url("deadletters"), place.url("orders")
    view = place.url("order_view")
    order = '{"customer":"You","email":"you@example.com","card":"declined-1","sku":"sku-1","quantity":1,'
    plain()
    plain(f"  tracer  {tracer}")
    plain(f"  desk    {desk}")
    plain(f"  orders  {orders}/orders")
    plain(f"  view    {view}/orders")
    plain()
    plain("Five things to try:")
    plain(f"  1. Open {tracer}/flows?state=compensated and look at one: what each service did, and what was undone.")
    plain(f"  2. Open {desk}/letters and read one of the mails that died and was replayed.")
    plain("  3. Place an order that will be declined, then look at order/ID in the tracer:")
    plain(f"     curl -X POST {orders}/orders -d '{order}\"total_cents\":1200}}'")
    plain(f"     {tracer}/subjects/order/ID")
    plain(f"  4. Cancel an order that is shipped ({orders}/orders lists them), and see how its flow is reached:")
    plain(f"     curl -X POST {orders}/orders/ID/cancellations")
    plain(f"  5. Open {view}/orders?state=shipped, and the history of one of its customers:")
    plain(f"     {view}/customers/CUSTOMER_ID/history")
    plain()
    if broker.memory:
        plain("A service of your own cannot join: this broker is memory://, inside one process. Install a RabbitMQ.")
    else:
        plain("To run a service of your own beside these, in another shell (the address has the broker's password):")
        for name, value in outside(broker).items():
            plain(f"     export {name}={shlex.quote(value)}")
        plain(f"     {Path(sys.executable).parent}/hocket run loyalty:8010")
    plain()
    plain("It stays until Ctrl-C.")
    await _watch(stage)


def outside(broker: Broker) -> dict[str, str]:
    """The environment of a service that joins the demo: the broker's address; its data goes where it is started."""
    return {"HOCKET_BROKER_URL": broker.url}


async def _act(scene: Scene) -> None:
    plan, load, told = scene.plan, scene.load, scene.told
    afterwards = Afterwards(plan, scene.world, load, scene.posting, told)
    accidents = await prepared(scene)
    load.begun = asyncio.get_running_loop().time()
    told.say(f"{plan.orders} orders and {plan.leads} leads are on their way.")
    async with beside(_watch(scene.stage), _progress(scene.world, load, told)), asyncio.TaskGroup() as tasks:
        for happens in (load.post_orders, load.post_leads, afterwards.happen, *accidents):
            tasks.create_task(happens())
    told.say("Everything that was to happen has happened.")


@asynccontextmanager
async def beside(*others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """These run as long as the block does; the first error of either ends both."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in others]
        yield
        for task in running:
            task.cancel()


async def _watch(stage: Stage) -> None:
    """Notice a service that ends by itself."""
    while True:
        if why := stage.fallen():
            raise StepFailed(f"The demo cannot go on: {why}.")
        await asyncio.sleep(WATCH_SECONDS)


async def _progress(world: World, load: Load, told: Told) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        with contextlib.suppress(StepFailed):
            states = await world.states()
            letters = [letter for letter in await world.letters() if letter["state"] != "obsolete"]
            settled = sum(letter["state"] == "handled" for letter in letters)
            told.say(
                f"orders: {states.total()} posted, {states['placed'] + states['confirmed']} under way, "
                f"{states['shipped']} shipped, {states['delivered']} delivered, {states['cancelled']} cancelled · "
                f"leads: {len(load.leads)} · breakers: {await _breakers(world)} · "
                f"letters: {len(letters)}, {settled} settled"
            )


async def _breakers(world: World) -> str:
    """Those that are not closed."""
    told = []
    for service, breaker in BREAKERS.items():
        try:
            state = await world.breaker(service)
        except Unanswered:
            state = f"unknown, for {service} is away"
        if state != "closed":
            told.append(f"{breaker} {state}")
    return ", ".join(told) or "closed"


async def _settle(place: Place, plan: Plan, told: Told) -> None:
    """Wait until nothing is open any more, at most so long as the plan says."""
    told.say("Waiting until nothing is open any more …")

    async def settled() -> bool:
        with contextlib.suppress(Unreadable):
            counts, findings = judge(await read(places_of(place)))
            made = checks(counts, {**LEAST, **plan.least})
            return green(made, findings) or any(each.kind in FOR_GOOD for each in findings)
        return False

    if not await until(settled, plan.settle_seconds, SETTLE_LOOK_SECONDS):
        told.say(f"After {plan.settle_seconds:.0f} s the books still do not balance.")


async def _judge(place: Place, broker: Broker, plan: Plan) -> int:
    """Run the auditor, a program of its own; its exit status."""
    seen = places_of(place)
    words = ["--sandbox", seen.sandbox, "--orders", seen.orders, "--desk", seen.desk, "--posts", str(seen.posts)]
    words += ["--scoring", seen.scoring, "--view", seen.view]
    words += ["--report", str(place.report), "--broker", broker.kind]
    words += [word for name, count in plan.least.items() for word in ("--least", f"{name}={count}")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.auditor", *words, cwd=place.root, stdin=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(AUDIT_SECONDS):
            return await process.wait()
    except TimeoutError:
        raise StepFailed(f"The step 'judge' failed: no verdict within {AUDIT_SECONDS:.0f} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def places_of(place: Place) -> Places:
    """Where the auditor looks."""
    return Places(
        sandbox=place.url("sandbox"),
        orders=place.url("orders"),
        desk=place.url("deadletters"),
        scoring=place.url("scoring"),
        view=place.url("order_view"),
        posts=place.posts,
    )


def failures(error: BaseException) -> Iterator[BaseException]:
    """The errors inside a group, whatever it is nested in."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from failures(each)
    else:
        yield error

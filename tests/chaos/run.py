"""One run: start everything, let the plan happen, make peace, judge."""

import asyncio
import contextlib
from collections.abc import Callable

from deploy.auditor.evidence import Unreadable
from deploy.broker.node import RabbitNode
from deploy.demo.place import StepFailed
from deploy.demo.story import beside
from deploy.demo.world import World
from tests.chaos.plan import Plan
from tests.chaos.play.customers import Customers
from tests.chaos.play.fleet import Fleet
from tests.chaos.play.hands import hands
from tests.chaos.play.peace import Operator, close_breakers
from tests.chaos.play.runner import Runner
from tests.chaos.play.site import Site
from tests.chaos.verdict import Verdict, evidence_of, leave, told, traced, verdict_of

#: Seconds of peace, within which everything must have come to its end.
PEACE_SECONDS = 120.0
#: Seconds of it in which parcels are still delivered and sent back.
DELIVERY_SECONDS = 45.0
#: Seconds within which a service must be ready at the start.
READY_SECONDS = 120.0
#: Seconds within which customers, and later the carrier, must have their answers, once it is peace.
ANSWER_SECONDS = 60.0
#: Seconds between two lines of progress.
PROGRESS_SECONDS = 15.0

#: Exit statuses.
GREEN, RED, UNREADABLE = 0, 1, 2

Say = Callable[[str], None]


class Run:
    """One plan against one site; `stay` keeps a red shop up until it is ended by hand."""

    def __init__(
        self, plan: Plan, site: Site, node: RabbitNode, rate: float, say: Say, *, clocks: bool, sabotage: str = ""
    ) -> None:
        self._plan = plan
        self._site = site
        self._node = node
        self._rate = rate
        self._say = say
        self._clocks = clocks
        self._sabotage = sabotage
        self._missed: list[str] = []

    async def run(self, *, stay: bool) -> int:
        """The exit status."""
        fleet = Fleet(self._site, self._node.url(), clocks=self._clocks, sabotage=self._sabotage)
        world = World(self._site)
        customers = Customers(self._plan.seed, self._rate, self._site)
        try:
            await self._begin(fleet, world)
            async with hands(self._node.url()) as found:
                runner = Runner(self._plan, self._site, self._node, fleet, world, found, self._node.url())
                operator = Operator(world, self._plan.acts())
                await self._story(runner, customers, operator, world)
            status, verdict = await self._judge(world, fleet, customers)
            if stay and status:
                self._say("It stays until Ctrl-C.")
                await asyncio.Event().wait()
        finally:
            await customers.close()
            await world.close()
            await fleet.close()
        for line in fleet.fallen:
            self._say(f"  process: {line}")
        self._say(verdict.line if verdict is not None else "the books cannot be read")
        return status or (RED if fleet.fallen else GREEN)

    async def _begin(self, fleet: Fleet, world: World) -> None:
        """Start the outside world, then everything else, and wait until all is ready."""
        for name in self._site.ports:
            await fleet.start(name)
        for name in self._site.ports:
            if why := await world.ready(name, READY_SECONDS):
                raise StepFailed(f"{name} is not ready after {READY_SECONDS:.0f} s ({why}); {world.log_of(name)}")
        self._say(f"{len(self._site.ports)} processes are ready")

    async def _story(self, runner: Runner, customers: Customers, operator: Operator, world: World) -> None:
        async with beside(self._progress(world, runner, customers)):
            carrying = asyncio.create_task(customers.carry())
            shopping = asyncio.create_task(customers.shop(self._plan.seconds))
            await runner.run()
            self._say("peace: no more faults, no more orders")
            await runner.mend()
            await close_breakers(runner)
            loop = asyncio.get_running_loop()
            calm = loop.time()
            resting = asyncio.create_task(operator.rest(PEACE_SECONDS))
            await self._answered(shopping, f"customers were not all answered {ANSWER_SECONDS:.0f} s after it was peace")
            await asyncio.sleep(max(0.0, calm + DELIVERY_SECONDS - loop.time()))
            customers.stop()
            await self._answered(
                carrying, f"the carrier was not answered within {ANSWER_SECONDS:.0f} s of its last round"
            )
            await resting
        done = ", ".join(f"{what} {times}" for what, times in sorted(runner.done.items()))
        self._say(f"done: {done}; {runner.hands.doubled} deliveries doubled, {runner.hands.moved} moved")
        self._say(f"{operator.replayed} letters replayed; {len(customers.cancelled)} orders cancelled by customers")
        for text in (*customers.failed, *runner.refused, *operator.refused):
            self._say(f"  refused: {text}")

    async def _answered(self, posting: asyncio.Task[None], missed: str) -> None:
        """Wait until those who post have their answers; what is not answered in time is a finding."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await posting
        except TimeoutError:
            self._missed.append(missed)

    async def _progress(self, world: World, runner: Runner, customers: Customers) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            states, letters = "orders is away", "the desk is away"
            with contextlib.suppress(StepFailed):
                states = ", ".join(f"{number} {state}" for state, number in sorted((await world.states()).items()))
            with contextlib.suppress(StepFailed):
                letters = str(sum(each["state"] != "obsolete" for each in await world.letters()))
            done = f"{len(customers.placed)} orders answered, {runner.done.total()} acts"
            self._say(f"{done}; {states or 'no order'}; letters: {letters}")

    async def _judge(self, world: World, fleet: Fleet, customers: Customers) -> tuple[int, Verdict | None]:
        try:
            evidence = await evidence_of(self._site)
        except Unreadable as failed:
            self._say(f"the auditor cannot judge: {failed}")
            return UNREADABLE, None
        verdict = verdict_of(evidence, self._plan.acts(), [*fleet.fallen, *self._missed], await traced(world))
        for line in told(verdict):
            self._say(line)
        if not verdict.green:
            await leave(self._site, world, verdict, evidence, self._plan.acts())
            self._say(f"findings with the timeline of each flow: {self._site.shown(self._site.findings)}")
            self._say(f"logs: {self._site.shown(self._site.folder)}/logs; tracer: {self._site.url('tracer')}")
        return (GREEN if verdict.green else RED), verdict

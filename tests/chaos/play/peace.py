"""What an operator does when the storm is over: closes breakers, replays letters; and how long that takes."""

import asyncio
from collections import Counter
from typing import Any

from deploy.demo.place import StepFailed
from deploy.demo.world import World
from tests.chaos.letters import explanation
from tests.chaos.plan import Act
from tests.chaos.play.runner import Runner

#: Seconds between two looks at the desk.
LOOK_SECONDS = 5.0
#: Times that a letter is replayed before its owner would have to be asked.
MOST_REPLAYS = 3


class Operator:
    """A person at the desk; counts what was replayed."""

    def __init__(self, world: World, acts: list[Act]) -> None:
        self._world = world
        self._acts = acts
        self._replays: Counter[str] = Counter()
        self.refused: list[str] = []

    @property
    def replayed(self) -> int:
        """How many letters were replayed."""
        return len(self._replays)

    async def rest(self, seconds: float) -> None:
        """So many seconds of peace: look at the desk again and again."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                for letter in await self._world.letters("pending"):
                    await self._settle(letter)
            except StepFailed as failed:
                self.refused.append(str(failed))
            await asyncio.sleep(min(LOOK_SECONDS, left))

    async def _settle(self, letter: dict[str, Any]) -> None:
        """Replay a letter that the chaos explains; leave any other for the judge."""
        why = explanation(letter, self._acts)
        if not why or self._replays[letter["id"]] >= MOST_REPLAYS:
            return
        self._replays[letter["id"]] += 1
        if refused := await self._world.replay(letter["id"], why):
            self.refused.append(refused)


async def close_breakers(runner: Runner) -> None:
    """Close by hand whatever was opened by hand and could not be closed in time; any other closes by itself."""
    for service, name in sorted(runner.held):
        await runner.operate(service, "close", name)

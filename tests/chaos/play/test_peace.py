"""The operator at a real desk: replays what the chaos explains, a few times, and leaves everything else."""

from pathlib import Path
from urllib.parse import urlsplit

from deploy.demo.world import World
from tests.chaos.plan import Act, Do
from tests.chaos.play.peace import MOST_REPLAYS, Operator
from tests.chaos.play.site import Site
from tests.services.deadletters.running_desk import dead, running_desk

CRM_HUNG = [Act(1.0, Do.FAULT, "crm", seconds=5.0, what="hang")]


async def test_what_the_chaos_explains_is_replayed(tmp_path: Path) -> None:
    """A letter that died again is replayed again, but not for ever."""
    async with running_desk(f"sqlite:///{tmp_path}/own.db") as desk:
        place = Site(tmp_path, ports={"deadletters": urlsplit(desk.url).port or 0})
        world = World(place)
        try:
            await desk.dead(dead(1), dead(2, death_cause="TimeoutError"))
            operator = Operator(world, CRM_HUNG)
            for turn in range(MOST_REPLAYS + 1):
                await operator.rest(0.01)
                if turn < MOST_REPLAYS:
                    again = dead(2, 10 + turn, death_cause="TimeoutError", replay=desk.sent[turn][3])
                    await desk.dead(again)
        finally:
            await world.close()
        assert len(desk.sent) == MOST_REPLAYS
        assert operator.replayed == 1
        assert operator.refused == []
        assert (await desk.letter("letter-1"))["state"] == "pending"

"""What every accident has at hand."""

from dataclasses import dataclass

from deploy.demo.load import Load
from deploy.demo.plan import Plan
from deploy.demo.posting import Posting
from deploy.demo.progress import Told
from deploy.demo.stage import Stage
from deploy.demo.world import World


@dataclass(frozen=True, slots=True)
class Scene:
    """One demo as its accidents see it."""

    plan: Plan
    world: World
    stage: Stage
    load: Load
    posting: Posting
    told: Told

"""The figures about projections: live beside the same handler, and a rebuild under load."""

from dataclasses import dataclass
from functools import partial

from tests.bench.environment import Databases, Ground
from tests.bench.figures import HOCKET, Figure
from tests.bench.projections.rebuild import live, rebuild

#: Events of one live run, and of one rebuild; `SCALE` multiplies them.
LIVE, REBUILD = 12_000, 1_000_000
#: Rounds of a rebuild, which lasts for minutes.
REBUILD_ROUNDS = 1


@dataclass(slots=True)
class ProjectionFigures:
    """Makes the figures on one ground."""

    ground: Ground
    databases: Databases
    scale: float = 1.0

    def figures(self) -> list[Figure]:
        """All of them, on each database that there is."""
        return [figure for store in ("sqlite", "postgres") for figure in self._of(store) if self._has(store)]

    def _has(self, store: str) -> bool:
        return store == "sqlite" or self.databases.postgres

    def _of(self, store: str) -> list[Figure]:
        name, many = f"projection_live_{store}", max(200, int(LIVE * self.scale))
        run = partial(live, self.ground, self.databases, store, name, many)
        systems = {HOCKET: partial(run, projection=True), "handler": partial(run, projection=False)}
        name = f"projection_rebuild_{store}"
        built = partial(rebuild, self.ground, self.databases, store, name, max(200, int(REBUILD * self.scale)))
        return [Figure((f"projection_live_{store}",), systems), Figure((name,), {HOCKET: built}, "", REBUILD_ROUNDS)]

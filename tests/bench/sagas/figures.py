"""The figures about sagas, time-outs and breakers; all of them need PostgreSQL."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.environment import Databases, Ground
from tests.bench.figures import HOCKET, Figure
from tests.bench.sagas.flows import saga, workflows
from tests.bench.sagas.lateness import lateness
from tests.bench.sagas.limit import limit
from tests.bench.sagas.outage import outage

#: Flows of one run, workflows of one run, and time-outs; `SCALE` multiplies them.
FLOWS, WORKFLOWS, TIMERS = 3000, 900, 100_000
#: Rounds of what lasts for minutes.
LONG_ROUNDS, MINUTES_ROUNDS = 1, 3


@dataclass(slots=True)
class SagaFigures:
    """Makes the figures on one ground; `folder` is for the files of the runs."""

    ground: Ground
    databases: Databases
    folder: Path
    scale: float = 1.0

    def figures(self) -> list[Figure]:
        """All of them; none without PostgreSQL."""
        if not self.databases.postgres:
            return []
        ground, databases, scale = self.ground, self.databases, self.scale
        flows = {
            HOCKET: partial(saga, ground, databases, "saga_three_postgres", self._many(FLOWS)),
            "dbos": partial(workflows, databases, "saga_three_postgres", self._many(WORKFLOWS)),
        }
        timers = partial(lateness, ground, databases, self.folder, "timers_100k", self._many(TIMERS))
        calls = partial(limit, ground, databases, "rate_limit_four", scale)
        down = partial(outage, ground, databases, "dependency_down", scale)
        return [
            Figure(("saga_three_postgres",), flows, "flows/s"),
            Figure(("rate_limit_four",), {HOCKET: calls}, "calls/s", rounds=MINUTES_ROUNDS),
            Figure(("timers_100k",), {HOCKET: timers}, "", rounds=MINUTES_ROUNDS),
            Figure(("dependency_down",), {HOCKET: down}, "", rounds=LONG_ROUNDS),
        ]

    def _many(self, count: int) -> int:
        return max(200, int(count * self.scale))

"""A rate limit over four replicas on PostgreSQL, whose queue is never empty."""

import asyncio
import time
from contextlib import ExitStack

from hocket.envelope import CONTENT_TYPE
from tests.bench.environment import Databases, Ground, declare, preload
from tests.bench.event import ROUTING_KEY, bodies
from tests.bench.measured_process import Task
from tests.bench.processes import Child, Run
from tests.bench.sagas.calls import most_within
from tests.bench.sagas.services import A_SECOND

#: Processes.
REPLICAS = 4
#: Seconds until the shares are settled: a share that grows waits for two renewals, and a renewal later all know of it.
SETTLE = 15.0
#: Seconds over which the average is taken.
SECONDS, LEAST_SECONDS = 60.0, 10.0


def limit(ground: Ground, databases: Databases, name: str, scale: float) -> Run:
    """The most calls in any second, from the first replica's start on, and the average once the shares are settled."""
    amqp, seconds = ground.fresh(), max(LEAST_SECONDS, SECONDS * scale)
    asyncio.run(declare(amqp, [("quota", [("call", ROUTING_KEY)])]))
    asyncio.run(preload(amqp, "quota.call", bodies(int((SETTLE + seconds) * A_SECOND * 2)), CONTENT_TYPE))
    task = Task(amqp, database=databases.fresh("postgres"))
    with ExitStack() as stack:
        children = [Child("sagas.systems", "calling", task) for _ in range(REPLICAS)]
        for child in children:
            stack.callback(child.end)
            child.ready()
            child.go()
        time.sleep(SETTLE)
        began, before = time.time(), sum(child.cpu() for child in children)
        time.sleep(seconds)
        ended, after = time.time(), sum(child.cpu() for child in children)
        for child in children:
            child.go()
        moments = [moment for child in children for moment in child.result()["moments"]]
    counted = sum(began <= moment < ended for moment in moments)
    average = counted / (ended - began)
    values = {f"{name}_most": float(most_within(moments, 1.0)), f"{name}_average": average}
    return Run(values, (after - before) / max(counted, 1) * 1e6)

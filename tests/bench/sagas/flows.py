"""Flows a second: three services of hocket with a step and an undo each, and workflows of DBOS, on one server."""

import asyncio
import os
import time
from contextlib import ExitStack

from hocket.envelope import CONTENT_TYPE
from tests.bench.environment import Databases, Ground, declare
from tests.bench.event import ROUTING_KEY
from tests.bench.flow import start_flows
from tests.bench.measured_process import Task
from tests.bench.processes import Child, Run

#: The services, what each hears, and its undo.
STAGES = (("first", ROUTING_KEY), ("second", "parcel.packed.v1"), ("third", "parcel.sent.v1"))
FAILED = "order.failed.v1"
#: Flows open at once: with more the groups are larger and a flow costs less, up to about here.
AT_ONCE = 1024
#: Processes of DBOS, and workflows at once (and connections) in each: the fastest that was tried (docs/performance.md).
PROCESSES, WORKFLOWS_AT_ONCE = 3, 16


def saga(ground: Ground, databases: Databases, name: str, count: int) -> Run:
    """`count` flows, from the first publish until all that the third service said is confirmed."""
    amqp = ground.fresh()
    asyncio.run(declare(amqp, [(stage, [("handle", key), ("unhandle", FAILED)]) for stage, key in STAGES]))
    reading, writing = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)
        children: list[Child] = []
        for stage, _ in STAGES:
            last = stage == STAGES[-1][0]
            task = Task(
                amqp, count=count, source=stage, database=databases.fresh("postgres"), fd=writing if last else -1
            )
            child = Child("sagas.systems", "saga", task, (writing,) if last else ())
            stack.callback(child.end)
            children.append(child)
        for child in children:
            child.ready()
            child.go()
        before = _costs(ground, databases, children)
        began = time.perf_counter()
        asyncio.run(start_flows(amqp, "hocket.events", ROUTING_KEY, CONTENT_TYPE, count, reading, AT_ONCE))
        children[-1].result()
        wall = time.perf_counter() - began
        after = _costs(ground, databases, children)
    client, broker, database = ((now - then) / count * 1e6 for now, then in zip(after, before, strict=True))
    return Run({name: count / wall}, client, broker, database)


def workflows(databases: Databases, name: str, count: int) -> Run:
    """`count` workflows of DBOS, in as many processes as are fastest."""
    database = databases.fresh("postgres")
    with ExitStack() as stack:
        children: list[Child] = []
        for number in range(PROCESSES):
            task = Task(
                "", count=count // PROCESSES, database=database, source=f"bench-{number}", window=WORKFLOWS_AT_ONCE
            )
            child = Child("peers.dbos", "workflows", task)
            stack.callback(child.end)
            children.append(child.ready())  # one after the other: the first makes the tables
        before = databases.cpu()
        for child in children:
            child.go()
        found = [child.result() for child in children]
        spent = databases.cpu() - before
    done = sum(each["count"] for each in found)
    client = sum(each["cpu"] for each in found) / done * 1e6
    return Run({name: done / max(each["wall"] for each in found)}, client, database_us=spent / done * 1e6)


def _costs(ground: Ground, databases: Databases, children: list[Child]) -> tuple[float, float, float]:
    return sum(child.cpu() for child in children), ground.broker_cpu(), databases.cpu()

"""Time-outs that are due within one minute, while their service is killed and started again, on PostgreSQL."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg

from hocket.clock import SystemClock
from hocket.envelope.canonical_json import MAX_WRITTEN_DEPTH, read_json
from hocket.envelope.cloudevent import OVERDUE_TYPE, Envelope, encode
from hocket.envelope.ids import Ids
from hocket.envelope.keys import alarm_key, timer_key
from hocket.saga.overdue import TimerRow, TimerState
from hocket.store.timers import TIMER_NAMES, timer_values
from tests.bench.environment import Databases, Ground, declare
from tests.bench.event import ROUTING_KEY, TYPE, order
from tests.bench.measured_process import Task
from tests.bench.processes import Child, ChildFailed, Run
from tests.bench.sagas.calls import part
from tests.bench.sagas.services import WITHIN

QUEUE, ANSWERS = "desk.unpaid", "order.paid.v1"
#: Seconds until the first one is due, in which all are written, and within which all are due.
LEAD, MINUTE = 15.0, 60.0
#: Seconds within which all must have run after the last was due, else the run is given up.
PATIENCE = 240.0
#: Seconds between two looks at the file.
LOOK = 0.5


def lateness(ground: Ground, databases: Databases, folder: Path, name: str, count: int) -> Run:
    """How late `count` time-outs run, due within a minute; in its middle the service is killed and started again."""
    amqp, database = ground.fresh(), databases.fresh("postgres")
    asyncio.run(declare(amqp, [("desk", [("unpaid", ROUTING_KEY), ("unpaid", ANSWERS)])]))
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / f"{name}.txt"
    lines.write_text("", encoding="ascii")
    task = Task(amqp, database=database, path=str(lines))
    with ExitStack() as stack:

        def started() -> Child:
            child = Child("sagas.systems", "waiting", task, seconds=MINUTE + LEAD + 2 * PATIENCE)
            stack.callback(child.end)
            return child

        service = started().ready()  # it makes the tables
        due = asyncio.run(_armed(database, count))
        first = min(due.values())
        before = ground.broker_cpu(), databases.cpu(), service.cpu()
        _sleep_until(first + MINUTE / 2)
        spent = service.cpu() - before[2]
        service.end()
        service = started()
        ran = _all_run(lines, count, first + MINUTE + PATIENCE)
        spent += service.cpu()
        broker, base = ground.broker_cpu() - before[0], databases.cpu() - before[1]
    late = [ran[each] - moment for each, moment in due.items()]
    values = {
        f"{name}_p50_s": part(late, 0.5),
        f"{name}_p99_s": part(late, 0.99),
        f"{name}_most_s": max(late),
        f"{name}_early": float(sum(each < 0 for each in late)),
    }
    return Run(values, spent / count * 1e6, broker / count * 1e6, base / count * 1e6)


async def _armed(database: str, count: int) -> dict[str, float]:
    """Write armed time-outs that are due evenly within the minute; when each is due, by order."""
    rows = list(_rows(count))
    connection = await asyncpg.connect(database)
    try:
        now = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
        rows = [replace(row, due=now + LEAD + MINUTE * number / count, updated=now) for number, row in enumerate(rows)]
        values = [timer_values(row) for row in rows]
        await connection.copy_records_to_table("hocket_timers", records=values, columns=TIMER_NAMES)
    finally:
        await connection.close()
    return {row.scope.removeprefix("order/"): row.due for row in rows}


def _rows(count: int) -> Iterator[TimerRow]:
    """What `hocket.delivery.overdue.ending` writes when an order arms the time-out; the moments are for the caller."""
    chance = random.Random(5)
    ids, at = Ids(SystemClock(), chance), SystemClock().now()
    for number in range(count):
        id, said = ids.uuid7(), order(number)
        scope = f"order/{said.order_id}"
        run = timer_key(id, QUEUE, scope)
        key = alarm_key(run, 1)
        placed = Envelope(
            id=id, source="/orders", type=TYPE, version=1, subject=scope, time=at, correlation_id=id,
            idempotency_key=id, data=said.model_dump(mode="json"),
        )  # fmt: skip
        armed = read_json(encode(placed, heard=True), depth=MAX_WRITTEN_DEPTH)
        alarm = Envelope(
            id=key, source="/desk", type=OVERDUE_TYPE, version=1, subject=scope, time=at + WITHIN, correlation_id=id,
            causation_id=id, idempotency_key=key, data={"run": run.hex(), "n": 1, "armed": armed},
        )  # fmt: skip
        yield TimerRow(
            run, id, QUEUE, scope, TimerState.ARMED, n=1, wait=WITHIN.total_seconds(), armed_key=chance.randbytes(20),
            input=encode(alarm, heard=True), version=1,
        )  # fmt: skip


def _all_run(path: Path, count: int, end: float) -> dict[str, float]:
    """The moment of each order's last run, once there is one of each."""
    ran: dict[str, float] = {}
    with path.open(encoding="ascii") as lines:
        while len(ran) < count:
            for line in lines:
                which, _, moment = line.partition(" ")
                ran[which] = float(moment)
            if time.time() > end:
                raise ChildFailed(f"{count - len(ran)} of {count} time-outs have not run")
            time.sleep(LOOK)
    return ran


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))

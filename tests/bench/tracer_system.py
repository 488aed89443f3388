"""The tracer's readers over a real store: facts of a shop among many services that are known; without a broker."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from hocket.envelope import CONTENT_TYPE, encode
from hocket.observe import Raw, Reader
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep.summaries import fold_unfolded
from services.tracer.keep.tables import tables
from services.tracer.service import Settings
from tests.bench.measured_process import Task, Watch, result, told
from tests.services.databases import store_at, within
from tests.services.tracer.sample_facts import MANIFESTS, Story, happy, manifest, subscription

#: Messages of one batch, as the stream's reader takes them, and receipts joined in one message.
BATCH, JOINED = 256, 8
#: Facts of one order that ends well: four events, five receipts.
FACTS = 9


T = TypeVar("T")


def batched(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """The values in parts of this size."""
    rest = iter(values)
    while some := tuple(islice(rest, size)):
        yield some


def declared(services: int) -> Iterator[dict[str, object]]:
    """Manifests of the shop and of so many further services, five subscriptions each."""
    yield from MANIFESTS
    for number in range(services - len(MANIFESTS)):
        name = f"service{number}"
        hears = [subscription(f"{name}.hear{one}", [f"{name}.said{one}"], [f"{name}.did{one}"]) for one in range(5)]
        yield manifest(name, "team", *hears)


def batches_of(stories: list[Story]) -> Iterator[tuple[Reader, list[Raw]]]:
    """The log and the receipts of these stories, in turn, as both readers get them."""
    log = (encode(envelope) for story in stories for envelope in story.envelopes)
    receipts = (one for story in stories for one in story.receipts)
    joined = (json.dumps(some).encode() for some in batched(receipts, JOINED))
    logs, told = batched(log, BATCH), batched(joined, BATCH // JOINED)
    while True:
        events, facts = next(logs, ()), next(told, ())
        if not events and not facts:
            return
        for reader, bodies, kind in ((read_log, events, CONTENT_TYPE), (read_receipts, facts, "application/json")):
            if bodies:
                yield reader, [Raw(body, offset=at, content_type=kind) for at, body in enumerate(bodies)]


async def facts(task: Task) -> None:
    """`count` facts, while `subscriptions` services are known, until every flow is folded."""
    address = task.database.replace("{service}", "tracer")
    start = datetime.now(UTC) - timedelta(minutes=1)
    stories = [happy(number, start) for number in range(1, task.count // FACTS + 1)]
    batches = list(batches_of(stories))
    async with store_at(address, tables) as store:

        async def read(reader: Reader, batch: list[Raw]) -> None:
            async with store.transaction() as tx:
                await reader(batch, within(tx, Settings()))

        known = [json.dumps([each]).encode() for each in declared(task.subscriptions)]
        for some in batched(known, BATCH):
            await read(read_receipts, [Raw(body, offset=at) for at, body in enumerate(some)])
        await told()
        watch = Watch()
        watch.start()
        for reader, batch in batches:
            await read(reader, batch)
        more = 1
        while more:
            async with store.transaction() as tx:
                more = await fold_unfolded(await tx.db(), datetime.now(UTC))
        watch.stop()
    size = 0
    if address.startswith("sqlite:///"):
        path = Path(address.removeprefix("sqlite:///"))
        size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
    result(len(stories) * FACTS, watch, bytes=size / len(stories) / FACTS)

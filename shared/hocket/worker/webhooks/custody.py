"""Keeps what is authentic and cannot be said, each once, and samples what is not authentic (RULES 12.2, 12.5)."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError

from hocket.errors import StoreError
from hocket.runtime import Runtime
from hocket.store.records import Ending, OutboxRow
from hocket.webhooks.declared import Webhook
from hocket.webhooks.signature import Push
from hocket.worker.webhooks import kept
from hocket.worker.webhooks.checks.rates import Rates
from hocket.worker.webhooks.counts import fact_of
from hocket.worker.webhooks.ends import Cause, End, State
from hocket.worker.webhooks.interpret import Interpreted, body_hash, hidden_names
from hocket.worker.webhooks.kept import KeptRow
from hocket.worker.webhooks.keys import Keys, Taken, conflict, is_same

#: Seconds of the window in which so many samples of one source are taken.
HOUR = 3600.0


@dataclass(slots=True)
class Custody:
    """Writes rows of `hocket_webhooks` for one service; `committed` gets the outbox rows of their facts."""

    runtime: Runtime
    committed: Callable[[Iterable[OutboxRow]], None]
    fresh: dict[str, int] = field(default_factory=dict)  # kept since the rows were last counted, by source
    _samples: Rates = field(init=False)

    def __post_init__(self) -> None:
        self._samples = Rates(self.runtime.clock.monotonic)

    async def keep(
        self, hook: Webhook, push: Push, keys: Keys, read: Interpreted, secret: int, flow: str
    ) -> Taken:  # fmt: skip
        """Keep one push with its cause, once; what was said or kept before gives its answer again.

        `StoreError`: the outcome is unknown; the next attempt finds what was kept.
        """
        if read.cause is not Cause.CONFLICT and (known := (await self.runtime.store.inbox([keys.id])).get(keys.id)):
            if is_same(known, keys.hash, read.events_hash):
                return Taken(known.correlation_id, End.SEEN)
            read = conflict()
        row = await self._row(hook, push, State.KEPT, read.cause or "", read.error, flow)
        row = row._replace(key=keys.id, body_hash=keys.hash, secret=secret)
        try:
            before = await self._written(row)
        except IntegrityError:  # another replica was at the same push
            async with self.runtime.store.read() as db:
                before = await kept.same(db, keys.id, keys.hash)
            if before is None:
                raise StoreError("a push that was kept just now is gone") from None
        if before is not None:
            return Taken(before.correlation_id, End.SEEN)
        self.fresh[hook.name] = self.fresh.get(hook.name, 0) + 1
        return Taken(flow, End.KEPT)

    async def sample(self, hook: Webhook, push: Push, end: End, error: str, skew: float = 0.0) -> None:
        """Keep a sample of what is not authentic, within the bounds of `kept`; without a store nothing is kept."""
        if not self._samples.admits(hook.name, kept.SAMPLES_AN_HOUR / HOUR, kept.SAMPLES_AN_HOUR):
            return
        flow = self.runtime.ids.uuid7()
        try:
            row = await self._row(hook, push, State.REFUSED, end.value, error, flow)
            row = row._replace(body=push.body[: kept.SAMPLE_BYTES], skew=skew)
            await self._written(row, samples_after=row.updated - HOUR)
        except StoreError as failed:
            self.runtime.trouble("a refused webhook could not be sampled", source=hook.name, reason=str(failed))

    async def _row(
        self, hook: Webhook, push: Push, state: State, cause: str, error: str, flow: str
    ) -> KeptRow:  # fmt: skip
        id, now = self.runtime.ids.uuid7(), (await self.runtime.store.clock.time()).now
        headers, hidden = json.dumps(dict(push.headers)), json.dumps(hidden_names(hook))
        return KeptRow(
            id, hook.name, push.id, state.value, cause, error, flow, id.encode(), body_hash(push.body), push.body,
            len(push.body), headers, hidden, 0.0, 0, 0, "", push.received.timestamp(), now,
        )  # fmt: skip

    async def _written(self, row: KeptRow, samples_after: float | None = None) -> KeptRow | None:
        """Write a row with its fact; the one that is there already. None also where there are samples enough."""
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            if samples_after is not None:
                await kept.lock_samples(db)
            if samples_after is None:
                if (before := await kept.same(db, row.key, row.body_hash)) is not None:
                    return before
            elif await kept.samples_since(db, row.source, samples_after) >= kept.SAMPLES_AN_HOUR:
                return None
            else:
                await kept.make_room(db, len(row.body))
            await kept.insert(db, row)
            [written] = await tx.write([Ending(receipt=self.fact(row))])
        self.committed(written.outbox)
        return None

    def fact(self, row: KeptRow) -> bytes:
        """The fact about a row."""
        received = datetime.fromtimestamp(row.received, UTC)
        return fact_of(row, self.runtime.instance, self.runtime.clock.now(), received)

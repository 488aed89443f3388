"""The tracer as `hocket run` runs it, on a memory broker whose streams are filled by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from hocket.assembly import Assembly
from hocket.broker.port import Message, Transport, Verdict
from hocket.broker.topology import EVENTS, RECEIPTS, routing_key
from hocket.clock import rfc3339
from hocket.config import Config
from hocket.envelope import CONTENT_TYPE, encode
from services.tracer import tracer
from tests.services.tracer.sample_facts import MANIFESTS, Story

#: Seconds that the tracer has to read what was published.
READ_SECONDS = 10.0


@dataclass
class Tracing:
    """A running tracer and the way to tell it facts."""

    url: str
    http: aiohttp.ClientSession
    post: Transport
    sent: dict[str, int] = field(default_factory=lambda: {"events": 0, "receipts": 0})

    async def publish(self, *messages: Message) -> None:
        """Publish and see each confirmed."""
        answers = await self.post.publish(list(messages))
        assert {each.verdict for each in answers} <= {Verdict.CONFIRMED}, answers

    async def report(self, facts: Sequence[dict[str, Any]]) -> None:
        """One message of the receipts stream."""
        await self.publish(Message(RECEIPTS, "", json.dumps(facts).encode(), "application/json"))

    async def tell(self, *stories: Story) -> None:
        """Say the events of these stories and report their receipts; returns when the tracer has read them."""
        for story in stories:
            await self.publish(
                *(
                    Message(EVENTS, routing_key(each.type, each.version), encode(each), CONTENT_TYPE, type=each.type)
                    for each in story.envelopes
                )
            )
            if story.receipts:
                await self.report(story.receipts)
        for story in stories:
            await self._until(story)

    async def _until(self, story: Story) -> None:
        async with asyncio.timeout(READ_SECONDS):
            while True:
                async with self.http.get(f"/api/flows/{story.flow}") as answer:
                    known = await answer.json() if answer.status == 200 else {"events": (), "deliveries": ()}
                told = {(each["subscription"], one["time"]) for each in known["deliveries"] for one in each["attempts"]}
                if len(known["events"]) == len(story.envelopes) and len(told) == len(story.receipts):
                    return
                await asyncio.sleep(0.02)


def heartbeats(**breakers: Any) -> list[dict[str, Any]]:
    """A heartbeat of each service of the shop, now."""
    now = rfc3339(datetime.now(UTC))
    return [
        {
            "kind": "heartbeat", "service": each["service"], "instance": f"{each['service']}-1a2b3c", "boot": "b",
            "time": now, "version": "0.1.0", "waiting": {"events": 0, "receipts": 0, "later": 1, "refused": 0},
            "breakers": breakers if each["service"] == "payments" else {}, "shed": 0,
        }
        for each in MANIFESTS
    ]  # fmt: skip


@asynccontextmanager
async def tracing(address: str, manifests: Sequence[dict[str, Any]] = tuple(MANIFESTS)) -> AsyncIterator[Tracing]:
    """A tracer with these manifests, its database at `address`."""
    assembly = Assembly(Config(broker_url="memory://", database_url=address))
    part = await assembly.start(tracer, 0)
    url = f"http://127.0.0.1:{part.web.port}"
    try:
        async with asyncio.timeout(READ_SECONDS):
            while True:
                if not part.worker.health():  # what is published into is declared
                    break
                await asyncio.sleep(0.01)
        async with aiohttp.ClientSession(url) as http:
            found = Tracing(url, http, part.transport)
            await found.report(manifests)
            yield found
    finally:
        await assembly.close()

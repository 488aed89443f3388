"""Posts as customers do: again where no answer came, and each try and its answer written down for the auditor."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.demo.world import Unanswered, World

#: Times that one post is tried, and seconds between two tries.
TRIES = 6
TRY_SECONDS = 0.5

#: The answer to one who repeats what is still at work: it is to be asked again (docs/commands.md).
CONFLICT, AT_WORK = 409, "urn:hocket:problem:command-in-progress"


@dataclass(frozen=True, slots=True)
class Post:
    """One thing to be posted; `about` names it in the record beside its key."""

    kind: str
    key: str
    service: str
    path: str
    body: Mapping[str, Any]
    about: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""  # the body as it is sent, where its bytes count; else it is `body` as JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer that counts: the last one that was not an error of the service."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def taken(self) -> bool:
        """Whether the service said yes."""
        return 200 <= self.status < 300


def cancellation(order_id: str, reason: str) -> Post:
    """A customer cancels an order."""
    path = f"/orders/{order_id}/cancellations"
    return Post("cancellation", order_id, "orders", path, {"reason": reason}, {"order_id": order_id})


def delivery(order_id: str) -> Post:
    """The carrier tells that a parcel arrived."""
    body = {"order_id": order_id}
    return Post("delivery", order_id, "shipping", "/deliveries", body, body)


class Posting:
    """The record of all posts of one run, and the way into it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._record = world.place.posts.open("w", encoding="utf-8")

    def close(self) -> None:
        """Close the record."""
        self._record.close()

    async def post(self, post: Post) -> tuple[Answer | None, str]:
        """Post it; the answer, or None and the sentence why none came in all tries."""
        said = ""
        for _ in range(TRIES):
            answer, said = await self.once(post, post.service)
            if answer is not None:
                return answer, ""
            await asyncio.sleep(TRY_SECONDS)
        return None, said

    async def once(self, post: Post, replica: str) -> tuple[Answer | None, str]:
        """Try it once, at one replica of its service; the answer, or None and the sentence why it does not count."""
        line = {"kind": post.kind, "key": post.key, **post.about, "at": round(time.time(), 3)}
        try:
            status, body, headers = await self._world.answer(
                "POST", replica, post.path, body=post.raw or post.body, headers=post.headers
            )
        except Unanswered as failed:
            self._write({**line, "status": None, "answer": {}, "error": str(failed)})
            return None, str(failed)
        self._write({**line, "status": status, "answer": body, "error": ""})
        waits = status == CONFLICT and body.get("type") == AT_WORK
        return (Answer(status, body, headers), "") if status < 500 and not waits else (None, f"status {status}")

    async def cancel(self, order_id: str, reason: str) -> tuple[Answer | None, str]:
        """Post a customer's cancellation, as `post` does."""
        return await self.post(cancellation(order_id, reason))

    async def deliver(self, order_id: str) -> tuple[Answer | None, str]:
        """Post that a parcel arrived, as `post` does."""
        return await self.post(delivery(order_id))

    def _write(self, line: Mapping[str, Any]) -> None:
        self._record.write(json.dumps(line) + "\n")
        self._record.flush()

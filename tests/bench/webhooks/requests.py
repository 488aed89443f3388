"""Signed webhooks as bytes on a connection, made before the watch runs, and callers that send them one by one."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlsplit

from tests.bench.measured_process import Task, Watch, result, told

#: The secret of both systems, as its settings have it.
RAW_SECRET = b"the secret of the measured hooks"
SECRET = base64.b64encode(RAW_SECRET).decode()
PATH = "/webhooks/crm"
#: Pushes before the watch runs.
WARM_UP = 200


def signed(number: int) -> bytes:
    """One request, whole; each has an id of its own."""
    form = {"email": f"ada{number}@example.org", "campaign": "spring", "score": number % 100, "tags": ["a", "b"]}
    body, id, moment = json.dumps(form).encode(), f"msg_{number}", str(int(time.time()))
    digest = hmac.digest(RAW_SECRET, f"{id}.{moment}.".encode() + body, hashlib.sha256)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"webhook-id: {id}\r\nwebhook-timestamp: {moment}\r\n"
        f"webhook-signature: v1,{base64.b64encode(digest).decode()}\r\n\r\n"
    )
    return head.encode() + body


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(f"a push was not taken: {head[:200]!r}")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def call(task: Task) -> None:
    """`count` pushes by `window` callers to the address `outside`, each answered before its caller sends the next."""
    address = urlsplit(task.outside)
    requests = [signed(number) for number in range(WARM_UP + task.count)]
    lines = [await asyncio.open_connection(address.hostname, address.port) for _ in range(task.window)]
    took: list[float] = []

    async def caller(line: tuple[asyncio.StreamReader, asyncio.StreamWriter], left: Iterator[bytes]) -> None:
        for request in left:
            began = time.perf_counter()
            await _send(*line, request)
            took.append(time.perf_counter() - began)

    async def send(some: list[bytes]) -> None:
        took.clear()
        left = iter(some)
        await asyncio.gather(*(caller(line, left) for line in lines))

    await send(requests[:WARM_UP])
    await told()
    watch = Watch()
    watch.start()
    await send(requests[WARM_UP:])
    watch.stop()
    for _, writer in lines:
        writer.close()
    result(task.count, watch, p50=median(took) * 1000)

"""What a team writes by hand: an aiohttp handler that verifies, inserts one row a commit and publishes confirmed."""

import asyncio
import base64
import hashlib
import hmac

import aio_pika
import asyncpg
from aiohttp import web
from pydantic import BaseModel

from tests.bench.measured_process import Task, told
from tests.bench.webhooks.requests import PATH, RAW_SECRET

_TABLE = "CREATE TABLE IF NOT EXISTS seen (id text PRIMARY KEY, body bytea NOT NULL)"
_INSERT = "INSERT INTO seen (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"


class Form(BaseModel):
    """What is pushed."""

    email: str
    campaign: str
    score: int


def _is_signed(request: web.Request, body: bytes) -> bool:
    id, moment = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    digest = base64.b64encode(hmac.digest(RAW_SECRET, f"{id}.{moment}.".encode() + body, hashlib.sha256))
    return hmac.compare_digest(b"v1," + digest, request.headers["webhook-signature"].encode())


async def serve(task: Task) -> None:
    """Listen on the port that `source` names, until killed."""
    pool = await asyncpg.create_pool(task.database, min_size=16, max_size=16)
    await pool.execute(_TABLE)
    connection = await aio_pika.connect(task.amqp)
    channel = await connection.channel()
    exchange = await channel.get_exchange("hocket.events", ensure=False)

    async def push(request: web.Request) -> web.Response:
        body = await request.read()
        if not _is_signed(request, body):
            return web.Response(status=401)
        form = Form.model_validate_json(body)
        if await pool.execute(_INSERT, request.headers["webhook-id"], body) == "INSERT 0 1":
            message = aio_pika.Message(
                form.model_dump_json().encode(), content_type="application/json", type="door.form_sent",
                message_id=request.headers["webhook-id"], delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )  # fmt: skip
            await exchange.publish(message, "door.form_sent.v1")
        return web.json_response({"ok": True}, status=202)

    app = web.Application()
    app.router.add_post(PATH, push)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(task.source)).start()
    await told()
    await asyncio.Event().wait()

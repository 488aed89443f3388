"""hocket's side: one webhook, as `hocket run` puts it together."""

import asyncio
import os
from contextlib import nullcontext

from pydantic import BaseModel
from pydantic_settings import BaseSettings

from hocket import Event, Service
from hocket.assembly import Assembly, process_memory
from hocket.config import Config
from hocket.telemetry import logs
from hocket.webhooks import Push, StandardWebhooks
from tests.bench.hocket_system import ready
from tests.bench.measured_process import Task, told
from tests.bench.webhooks.requests import SECRET


class Settings(BaseSettings):
    """The secret."""

    crm_secret: str


class Form(BaseModel):
    """What is pushed."""

    email: str
    campaign: str
    score: int


class FormSent(Event, type="door.form_sent", subject="form/{campaign}"):
    """What is said."""

    email: str
    campaign: str
    score: int


door = Service("door", owner="bench", settings=Settings, uses=lambda settings: nullcontext())


@door.webhook(StandardWebhooks(secrets="crm_secret"), rate=1_000_000)
def crm(body: Form, push: Push) -> FormSent:
    """Says it."""
    return FormSent(email=body.email, campaign=body.campaign, score=body.score)


async def serve(task: Task) -> None:
    """Listen on the port that `source` names, until killed."""
    os.environ["CRM_SECRET"] = SECRET
    logs.configure("WARNING")
    process_memory.fix_mmap_threshold()
    assembly = Assembly(Config(broker_url=task.amqp, database_url=task.database, webhook_address_rate=0))
    part = await assembly.start(door, int(task.source))
    process_memory.freeze_objects()
    await ready(part)
    await told()
    await asyncio.Event().wait()

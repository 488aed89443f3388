"""A service with webhooks that runs for real: its port, its database, a broker in memory; and senders that sign."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import sqlalchemy as sa
from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from hocket import Event, Sensitive, Service
from hocket.assembly import Assembly
from hocket.assembly.process import StartedService
from hocket.broker.memory import MemoryBroker
from hocket.broker.topology import RECEIPTS
from hocket.config import Config
from hocket.store.schema import INBOX, OUTBOX
from hocket.store.tables.webhooks import WEBHOOKS
from hocket.webhooks import GitHub, Push, Shopify, StandardWebhooks, Stripe

RAW = b"a secret of thirty-two bytes ..."
OLD = b"the secret that was used before."
CRM = f"whsec_{base64.b64encode(RAW).decode()},whsec_{base64.b64encode(OLD).decode()}"
SHOP = "the shop's shared secret"


class Settings(BaseSettings):
    """What the webhooks are signed with."""

    crm_secrets: SecretStr = SecretStr(CRM)
    shop_secret: SecretStr = SecretStr(SHOP)
    pay_secret: SecretStr = SecretStr("whsec_of_the_payments")
    code_secret: SecretStr = SecretStr("It's a Secret to Everybody")


class Form(BaseModel):
    """A form of the customer system."""

    email: Sensitive[str]
    campaign: str
    score: Annotated[int, Field(ge=0)] = 0

    @field_validator("campaign")
    @classmethod
    def is_known(cls, campaign: str) -> str:
        """A validator as teams write them: it raises what pydantic does not take for invalid."""
        if campaign == "lost":
            raise LookupError("there is no campaign of that name")
        return campaign


class FormSent(Event, type="door.form_sent", subject="form/{campaign}"):
    """A form was sent."""

    email: Sensitive[str]
    campaign: str


class CustomerChanged(Event, type="door.customer_changed", subject="customer/{id}"):
    """A customer of the shop has changed."""

    id: int


@dataclass
class Mind:
    """How the mapping behaves, so that a test can mend it."""

    broken: str | BaseException = ""
    calls: int = 0


def door_of(
    mind: Mind, *, same_body: bool | None = None, rate: float = 1000.0, key: Any = None, drift: Any = "warn"
) -> Service[None]:
    """A fresh declaration."""
    service = Service("door", owner="team-edge", settings=Settings)

    @service.webhook(StandardWebhooks(secrets="crm_secrets"), rate=rate, key=key, drift=drift)
    def crm(body: Form, push: Push) -> FormSent | None:
        mind.calls += 1
        if isinstance(mind.broken, BaseException):
            raise mind.broken
        if mind.broken:
            raise RuntimeError(f"{mind.broken} {body.email}")
        return FormSent(email=body.email, campaign=body.campaign) if body.campaign else None

    @service.webhook(Shopify(secrets="shop_secret", same_body=same_body), name="shop")
    def changed(body: dict[str, Any], push: Push) -> CustomerChanged | None:
        return CustomerChanged(id=body["id"])

    @service.webhook(Stripe(secrets="pay_secret"))
    def pay(body: dict[str, Any], push: Push) -> None:
        return None

    @service.webhook(GitHub(secrets="code_secret"))
    def code(body: dict[str, Any], push: Push) -> None:
        return None

    return service


def signed(body: bytes, id: str = "msg_1", *, at: float = 0.0, secret: bytes = RAW) -> dict[str, str]:
    """The headers of Standard Webhooks; `at` seconds from now."""
    moment = str(int(time.time() + at))
    digest = hmac.digest(secret, f"{id}.{moment}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "Content-Type": "application/json",
    }


def of_shop(body: bytes, id: str = "w-1", topic: str = "customers/update") -> dict[str, str]:
    """The headers of Shopify."""
    digest = base64.b64encode(hmac.digest(SHOP.encode(), body, hashlib.sha256)).decode()
    return {"X-Shopify-Hmac-Sha256": digest, "X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": id}


def of_pay(body: bytes) -> dict[str, str]:
    """The header of Stripe."""
    moment = str(int(time.time()))
    digest = hmac.digest(b"whsec_of_the_payments", f"{moment}.".encode() + body, hashlib.sha256)
    return {"Stripe-Signature": f"t={moment},v1={digest.hex()}"}


def of_code(body: bytes, id: str) -> dict[str, str]:
    """The headers of GitHub."""
    digest = hmac.digest(b"It's a Secret to Everybody", body, hashlib.sha256)
    return {"X-Hub-Signature-256": f"sha256={digest.hex()}", "X-GitHub-Delivery": id}


def form(campaign: str = "spring", **more: Any) -> bytes:
    """A body of the customer system."""
    return json.dumps({"email": "ada@example.org", "campaign": campaign, **more}).encode()


@dataclass
class Answer:
    """What a sender sees."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def flow(self) -> str:
        """The flow's id."""
        return str(self.body["flow"])


@dataclass
class Door:
    """The running service, seen from outside and in its database."""

    part: StartedService
    http: aiohttp.ClientSession
    mind: Mind
    broker: MemoryBroker

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.part.web.port}"

    async def push(self, source: str, body: Any, headers: Mapping[str, str]) -> Answer:
        """One request."""
        async with self.http.post(f"{self.url}/webhooks/{source}", data=body, headers=headers) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def form(self, body: bytes, id: str = "msg_1", **more: Any) -> Answer:
        """One push of the customer system."""
        return await self.push("crm", body, signed(body, id, **more))

    async def rows(self, table: sa.Table = WEBHOOKS) -> list[Any]:
        """Rows of one of the kit's tables."""
        async with self.part.store.read() as db:
            return list((await db.execute(sa.select(table))).all())

    async def kept(self) -> list[Any]:
        """What is kept or sampled."""
        return await self.rows()

    async def keys(self) -> list[str]:
        """The keys that the inbox remembers."""
        return sorted(row.event_id for row in await self.rows(INBOX))

    async def said(self) -> int:
        """How many events were said: they stand in the inbox's rows."""
        rows = [row for row in await self.rows(INBOX) if not row.event_id.startswith("webhook-body/")]
        return sum(len(json.loads(row.said)) for row in rows)

    async def told(self) -> list[Any]:
        """The facts that wait in the outbox or have left it for the broker."""
        waiting = [row.body for row in await self.rows(OUTBOX) if row.kind == "receipt"]
        left = [each.body for each in self.broker.messages(RECEIPTS)]
        return [fact for body in (*waiting, *left) for fact in json.loads(bytes(body))]


def config_of(folder: Path, database: str = "", **more: Any) -> Config:
    """Of a process on loopback."""
    url = database or f"sqlite:///{folder}/{{service}}.db"
    return Config.model_construct(broker_url="memory://", database_url=url, http_host="127.0.0.1", **more)


@asynccontextmanager
async def running(
    folder: Path, mind: Mind | None = None, database: str = "", *, same_body: bool | None = None, rate: float = 1000.0,
    key: Any = None, drift: Any = "warn", **more: Any,
) -> AsyncIterator[Door]:  # fmt: skip
    """The service in a process of its own kind; `more` are settings of the kit."""
    mind = mind or Mind()
    assembly = Assembly(config_of(folder, database, **more))
    part = await assembly.start(door_of(mind, same_body=same_body, rate=rate, key=key, drift=drift), 0)
    try:
        async with aiohttp.ClientSession() as http:
            yield Door(part, http, mind, assembly._memory)  # type: ignore[arg-type]  # noqa: SLF001 -- it is on memory://
    finally:
        await assembly.close()

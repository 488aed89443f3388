"""A small ingress: webhooks of two senders, one with a model of the body and one with bytes, and their options."""

from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

from hocket import Event, Scheduled, Sensitive, Service
from hocket.webhooks import Push, Shopify, StandardWebhooks


class Settings(BaseSettings):
    """The secrets of the senders."""

    form_secrets: SecretStr = SecretStr("")
    shop_secrets: SecretStr = SecretStr("")


def uses(settings: Settings) -> AbstractAsyncContextManager[None]:
    """Nothing."""
    return nullcontext()


ingress = Service("ingress", owner="team-edge", settings=Settings, uses=uses)


class Form(BaseModel):
    """The fields of a form that are read."""

    email: Sensitive[str]
    later: bool = False


class LeadCaptured(Event, type="lead.captured", subject="lead/{delivery}"):
    """A lead came."""

    delivery: str
    email: Sensitive[str] = ""


class LeadStored(Event, type="lead.stored", subject="lead/{delivery}"):
    """A lead came as bytes."""

    delivery: str


class LeadAsked(Event, type="lead.asked", subject="lead/{delivery}"):
    """It is time to ask."""

    delivery: str


@ingress.webhook(StandardWebhooks(secrets="form_secrets"), rate=10, drift="quarantine")
def form(body: Form, push: Push) -> LeadCaptured | None:
    """Map a model to an event, or to nothing."""
    return None if body.later else LeadCaptured(delivery=push.id, email=body.email)


@ingress.webhook(Shopify(secrets="shop_secrets"), name="shop", key=lambda push: push.headers["X-Shopify-Webhook-Id"])
def shop_customer(body: bytes, push: Push) -> tuple[LeadStored, Scheduled[LeadAsked]]:
    """Map bytes to an event, and one that is due later."""
    return LeadStored(delivery=push.id), Scheduled(LeadAsked(delivery=push.id), after=timedelta(days=1), key=push.id)

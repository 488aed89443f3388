"""Tell people. Two handlers, so two queues: a mail system that chokes on customers keeps no lead waiting."""

from datetime import timedelta

from hocket import Retry, Tx
from services.notifications import storage
from services.notifications.domain import mail_of
from services.notifications.events import LeadCaptured, OrderCancelled, OrderConfirmed
from services.notifications.service import Post, mail_api, notifications

MAIL_RETRY = Retry(retries=5, first=timedelta(seconds=0.3), longest=timedelta(seconds=3))


@notifications.handler(retry=MAIL_RETRY, breaker=mail_api)
async def tell_customer(event: OrderConfirmed | OrderCancelled, tx: Tx[Post]) -> None:
    """Mail that the order is confirmed, or that it is cancelled."""
    await _mail(event, tx)


@notifications.handler(retry=MAIL_RETRY, breaker=mail_api)
async def welcome(lead: LeadCaptured, tx: Tx[Post]) -> None:
    """Mail a welcome."""
    await _mail(lead, tx)


async def _mail(event: OrderConfirmed | OrderCancelled | LeadCaptured, tx: Tx[Post]) -> None:
    mail = mail_of(event)
    async with tx.outside(mail_api) as key:
        await tx.use.send(mail, key=key)
    await storage.note_mail(await tx.db(), key, mail)

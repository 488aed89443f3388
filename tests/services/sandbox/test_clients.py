"""The shop's own HTTP clients against the running outside world: both sides mean the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services.crm.events import LeadCaptured
from services.crm.service import Settings as CrmSettings
from services.crm.service import uses as crm_uses
from services.inventory.domain import Refused as StockRefused
from services.inventory.domain import Reserved, SoldOut
from services.inventory.service import Settings as StockSettings
from services.inventory.service import uses as stock_uses
from services.notifications.domain import Mail
from services.notifications.service import Settings as MailSettings
from services.notifications.service import uses as mail_uses
from services.payments.domain import Charged, Declined, Refunded, Refused
from services.payments.service import Settings as CardSettings
from services.payments.service import card_api
from services.payments.service import uses as card_uses
from services.sandbox import sandbox
from tests.services.running_service import serving


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A sandbox that runs."""
    async with serving(sandbox, tmp_path) as session:
        yield session


async def _fault(http: aiohttp.ClientSession, **fault: object) -> None:
    async with http.post("/faults", json=fault) as answer:
        assert answer.status == 201


async def _base(http: aiohttp.ClientSession, path: str) -> str:
    async with http.get("/health/live") as answer:
        return str(answer.url.with_path(path))


async def test_cards_pay_decline_refund_and_refuse(http: aiohttp.ClientSession) -> None:
    """Every answer of the card system is read as it is meant."""
    async with card_uses(CardSettings(cards_url=await _base(http, "cards"))) as cards:
        assert await cards.charge("A1", "tok", 999, key="k1") == Charged("ch_1")
        assert await cards.charge("A2", "declined-1", 5, key="k2") == Declined("the card was declined")
        assert await cards.refund("A1", key="r1", original="k1") == Refunded("re_3", 999)
        assert await cards.refund("A3", key="r3", original="k3") == Refunded("re_4", 0)
        assert isinstance(await cards.charge("A3", "tok", 999, key="k3"), Refused)


@pytest.mark.parametrize("kind", ["error", "down", "timeout_after"])
async def test_a_card_system_that_fails_is_counted_by_its_breaker(http: aiohttp.ClientSession, kind: str) -> None:
    """RULES 6.1: 500, 503 and a timeout are of the kinds that the breaker counts."""
    await _fault(http, target="cards", kind=kind, times=1, delay_ms=400)
    async with card_uses(CardSettings(cards_url=await _base(http, "cards"), timeout_seconds=0.15)) as cards:
        with pytest.raises((aiohttp.ClientError, TimeoutError)) as caught:
            await cards.charge("A1", "tok", 999, key="k1")
        assert isinstance(caught.value, card_api.failures)
        assert isinstance(await cards.charge("A1", "tok", 999, key="k1"), Charged)


async def test_a_card_system_that_is_not_there_is_counted_by_its_breaker() -> None:
    """Nobody listens: a failure like any other."""
    async with card_uses(CardSettings(cards_url="http://127.0.0.1:1/cards")) as cards:
        with pytest.raises(aiohttp.ClientError) as caught:
            await cards.refund("A1", key="r1", original="k1")
        assert isinstance(caught.value, card_api.failures)


async def test_stock_is_reserved_rejected_and_released(http: aiohttp.ClientSession) -> None:
    """Sold out is told apart from a key that was given back; a failure goes up."""
    async with stock_uses(StockSettings(stock_url=await _base(http, "stock"))) as stock:
        assert await stock.reserve("A1", "lamp", 1, key="s1") == Reserved("rs_1")
        assert await stock.reserve("A2", "sold-out", 1, key="s2") == SoldOut()
        await stock.release("A1", key="l1", original="s1")
        assert isinstance(await stock.reserve("A1", "lamp", 1, key="s1"), StockRefused)
        await _fault(http, target="stock", kind="down", times=2)
        with pytest.raises(aiohttp.ClientError):
            await stock.reserve("A3", "lamp", 1, key="s3")
        with pytest.raises(aiohttp.ClientError):
            await stock.release("A3", key="l3", original="s3")


async def test_mails_and_leads_are_taken(http: aiohttp.ClientSession) -> None:
    """What the shop sends is what the outside reads."""
    mail = Mail("ada@example.com", "welcome", "lead/ada@example.com", "Welcome", "Hello")
    async with mail_uses(MailSettings(mail_url=await _base(http, "mail"))) as post:
        await post.send(mail, key="m1")
    async with crm_uses(CrmSettings(url=await _base(http, "crm"))) as customers:
        lead = LeadCaptured(email="ada@example.com", campaign="spring")
        assert await customers.enter(lead, key="c1") == await customers.enter(lead, key="c1") == "ct_2"
    async with http.get("/mailbox") as answer:
        [mailed] = (await answer.json())["mails"]
    assert (mailed["to"], mailed["kind"], mailed["key"]) == ("ada@example.com", "welcome", "m1")
    for settings in ("mail", "crm"):
        await _fault(http, target=settings, kind="down")
    async with mail_uses(MailSettings(mail_url=await _base(http, "mail"))) as post:
        with pytest.raises(aiohttp.ClientError):
            await post.send(mail, key="m2")
    async with crm_uses(CrmSettings(url=await _base(http, "crm"))) as customers:
        with pytest.raises(aiohttp.ClientError):
            await customers.enter(lead, key="c2")

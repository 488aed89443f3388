"""The shop's own HTTP clients against the running outside world: both sides mean the same."""

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import test_utils, web

from hocket import Breaker
from hocket.resilience.breakers.verdict import judged
from services.crm.events import LeadCaptured
from services.crm.service import Settings as CrmSettings
from services.crm.service import uses as crm_uses
from services.inventory.domain import Refused as StockRefused
from services.inventory.domain import Reserved, SoldOut
from services.inventory.service import Settings as StockSettings
from services.inventory.service import stock_api
from services.inventory.service import uses as stock_uses
from services.notifications.domain import Mail
from services.notifications.service import Settings as MailSettings
from services.notifications.service import uses as mail_uses
from services.payments.domain import Authorised, Captured, Declined, GivenBack, Lapsed, Refused
from services.payments.service import Settings as CardSettings
from services.payments.service import card_api
from services.payments.service import uses as card_uses
from services.sandbox import sandbox
from services.shipping.domain import Booked, NotCarried
from services.shipping.domain import Refused as ParcelRefused
from services.shipping.service import Settings as CarrierSettings
from services.shipping.service import carrier_api
from services.shipping.service import uses as carrier_uses
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


async def test_cards_hold_take_and_give_back(http: aiohttp.ClientSession) -> None:
    """Every answer of the card system is read as it is meant."""
    async with card_uses(CardSettings(cards_url=await _base(http, "cards"))) as cards:
        assert await cards.authorise("A1", "tok", 999, key="k1") == Authorised("au_k1")
        assert await cards.authorise("A2", "declined-1", 5, key="k2") == Declined("the card was declined")
        assert await cards.capture("A1", "au_k1", 999, key="c1") == Captured("ca_3")
        assert await cards.void("A1", key="v1", original="k1") == GivenBack("vo_4", 0)
        assert await cards.refund("A1", key="r1", original="c1") == GivenBack("re_5", 999)
        assert await cards.authorise("A3", "tok", 500, key="k3") == Authorised("au_k3")
        assert await cards.void("A3", key="v3", original="k3") == GivenBack("vo_7", 500)
        assert await cards.capture("A3", "au_k3", 500, key="c3") == Lapsed()
        assert isinstance(await cards.authorise("A3", "tok", 500, key="k3"), Refused)
        assert isinstance(await cards.capture("A4", "au_k4", 500, key="c4"), Refused)


@pytest.mark.parametrize("kind", ["error", "down", "timeout_after"])
async def test_a_card_system_that_fails_is_counted_by_its_breaker(http: aiohttp.ClientSession, kind: str) -> None:
    """RULES 6.1: 500, 503 and a timeout are of the kinds that the breaker counts."""
    await _fault(http, target="cards", kind=kind, times=1, delay_ms=400)
    async with card_uses(CardSettings(cards_url=await _base(http, "cards"), timeout_seconds=0.15)) as cards:
        with pytest.raises((aiohttp.ClientError, TimeoutError)) as caught:
            await cards.authorise("A1", "tok", 999, key="k1")
        assert isinstance(caught.value, card_api.failures)
        assert isinstance(await cards.authorise("A1", "tok", 999, key="k1"), Authorised)


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


async def test_parcels_are_booked_refused_and_recalled(http: aiohttp.ClientSession) -> None:
    """Goods that nobody carries are told apart from a key that was given back; a failure goes up."""
    async with carrier_uses(CarrierSettings(carrier_url=await _base(http, "carrier"))) as carrier:
        assert await carrier.book("A1", "lamp", 1, key="p1") == Booked("pa_1")
        assert await carrier.book("A2", "too-big", 1, key="p2") == NotCarried()
        assert await carrier.recall("A1", key="b1", original="p1") == "rc_3"
        assert isinstance(await carrier.book("A1", "lamp", 1, key="p1"), ParcelRefused)
        await _fault(http, target="carrier", kind="down", times=2)
        with pytest.raises(aiohttp.ClientError):
            await carrier.book("A3", "lamp", 1, key="p3")
        with pytest.raises(aiohttp.ClientError):
            await carrier.recall("A3", key="b3", original="p3")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_an_outside_that_is_busy_is_left_alone(status: int) -> None:
    """RULES 6.2, 6.7: such an answer goes up as a failure that its breaker counts, with the Retry-After it reads."""

    async def busy(request: web.Request) -> web.Response:
        return web.json_response({"error": "busy"}, status=status, headers={"Retry-After": "7"})

    app = web.Application()
    app.router.add_post("/{anything}", busy)
    async with test_utils.TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with (
            card_uses(CardSettings(cards_url=url)) as cards,
            stock_uses(StockSettings(stock_url=url)) as stock,
            carrier_uses(CarrierSettings(carrier_url=url)) as carrier,
        ):
            calls: list[tuple[Breaker, Awaitable[object]]] = [
                (card_api, cards.authorise("A1", "tok", 999, key="k")),
                (card_api, cards.void("A1", key="k", original="o")),
                (card_api, cards.capture("A1", "au_k", 999, key="k")),
                (card_api, cards.refund("A1", key="k", original="o")),
                (stock_api, stock.reserve("A1", "lamp", 1, key="k")),
                (stock_api, stock.release("A1", key="k", original="o")),
                (carrier_api, carrier.book("A1", "lamp", 1, key="k")),
                (carrier_api, carrier.recall("A1", key="k", original="o")),
            ]
            for breaker, call in calls:
                with pytest.raises(aiohttp.ClientResponseError) as caught:
                    await call
                said = judged(caught.value, breaker, datetime.now(UTC))
                assert said == (True, 7.0 if status in {429, 503} else 0.0)


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

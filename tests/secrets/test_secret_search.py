"""A marked secret goes through every sensitive field, error, validator, header and setting of the shop under faults.

Afterwards it is looked for in everything that can be read from outside a handler: logs, spans, metrics, health, headers
and attributes of messages, receipts, tables, pages and API of both consoles, answers. What is kept whole by design
stands in `places.KEPT_WHOLE`.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import aiohttp
import pytest
import structlog
from aio_pika.abc import AbstractIncomingMessage
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deploy.database.server import PostgresServer
from hocket.assembly import Assembly
from hocket.cli.settings_list import listed
from hocket.config import Config
from hocket.telemetry import logs, otel
from hocket.telemetry.spans import OtelListener
from tests.secrets.places import Search, in_one_text, search_database, search_messages, search_pages
from tests.secrets.shop_under_faults import DOOMED, SERVICES, make_careless, sensitive_models, settled

#: Seconds in which the shop must come to rest; a handler of the shop waits up to ten seconds between two attempts.
PATIENCE = 120.0
#: Marks that stand nowhere else. A password goes into an address, so it has only letters and digits.
FIELD_MARK, PASSWORD, KEY = "zq7Ößmark", "zq7settingspassword", "zq7pseudonymkeyofthisshop"
#: What the fields of the shop may hold; a field that is not here is one that nobody thought of.
VALUES = {"email": f"{FIELD_MARK}-{{}}'\"<&>@secret.example", "card": f"tok-{FIELD_MARK} {{}}'\"<&>"}


class Shop:
    """The running shop, and everything that it gives off."""

    def __init__(self, config: Config, http: aiohttp.ClientSession) -> None:
        self.config, self.http = config, http
        self.messages: list[AbstractIncomingMessage] = []
        self.exporter = InMemorySpanExporter()
        self.ports: dict[str, int] = {}
        self.answers: list[tuple[str, str]] = []

    def url(self, service: str, path: str) -> str:
        """An address of a service."""
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    async def post(self, service: str, path: str, body: object, **headers: str) -> int:
        """Post JSON; the answer is kept for the search."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.post(self.url(service, path), json=body, headers=sent) as answer:
            self.answers.append((f"{service} {path} {answer.status}", await answer.text()))
            return answer.status

    async def letters(self) -> list[dict[str, object]]:
        """What the desk holds."""
        async with self.http.get(self.url("deadletters", "/api/dead?limit=500")) as answer:
            found: list[dict[str, object]] = (await answer.json())["letters"]
            return found


@asynccontextmanager
async def running(config: Config, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Every service of the shop in this process, on a real broker; a listener takes every message of the exchanges."""
    async with aiohttp.ClientSession() as http:
        shop = Shop(config, http)
        tracing = OtelListener(SimpleSpanProcessor(shop.exporter), "0")
        monkeypatch.setattr(otel, "from_environment", lambda *_: tracing)
        assembly = Assembly(config)
        connection = await aio_pika.connect(config.broker_url)
        try:
            for service in SERVICES:
                part = await assembly.start(service, 0)
                shop.ports[service.name] = part.web.port
                if service.name == "sandbox":
                    outside = f"http://shop:{PASSWORD}@127.0.0.1:{part.web.port}"
                    for name, path in (("PAYMENTS_CARDS", "cards"), ("INVENTORY_STOCK", "stock"), ("CRM", "crm")):
                        monkeypatch.setenv(f"{name}_URL", f"{outside}/{path}")
                    monkeypatch.setenv("SHIPPING_CARRIER_URL", f"{outside}/carrier")
                    monkeypatch.setenv("NOTIFICATIONS_MAIL_URL", f"{outside}/mail")
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            for exchange in ("hocket.events", "hocket.receipts", "hocket.dead", *shop.ports):
                with_ = "#" if exchange in {"hocket.events", "hocket.dead"} else ""
                await queue.bind(exchange, with_)
                if exchange in shop.ports:
                    for subscription in assembly.parts[exchange].worker.runners:
                        await queue.bind(exchange, subscription)

            async def take(message: AbstractIncomingMessage) -> None:
                shop.messages.append(message)

            await queue.consume(take, no_ack=True)
            async with asyncio.timeout(PATIENCE):
                while any(part.worker.health() for part in assembly.parts.values()):  # noqa: ASYNC110 -- no moment
                    await asyncio.sleep(0.1)
            yield shop
        finally:
            await connection.close()
            await assembly.close()


async def sell(shop: Shop) -> int:
    """Orders, leads, and what must be refused; how many letters must come of the doomed ones and of the invalid."""
    fields = {name: value.format for name, value in VALUES.items()}
    order: dict[str, object] = {}
    for number in range(4):
        order = {
            "customer": "Ada", "email": fields["email"](number), "card": fields["card"](number), "sku": "lamp",
            "quantity": 1, "total_cents": 100 + number,
        }  # fmt: skip
        assert await shop.post("orders", "/orders", order) < 300
        assert await shop.post("ingress", "/leads", {"email": order["email"]}, X_Delivery_Id=f"d{number}") < 300
    doomed = {**order, "email": fields["email"](DOOMED), "card": fields["card"](DOOMED)}
    assert await shop.post("orders", "/orders", doomed) < 300
    assert await shop.post("ingress", "/leads", {"email": doomed["email"]}, X_Delivery_Id="d") < 300
    refused: list[dict[str, object]] = [
        {"quantity": 0}, {"card": {fields["card"](9): 1}}, {"email": fields["email"](9) * 99}, {fields["email"](9): 1},
    ]  # fmt: skip
    for wrong in refused:
        await shop.post("orders", "/orders", {**order, **wrong})
        await shop.post("ingress", "/leads", {**order, **wrong}, X_Delivery_Id="w")
    await shop.post("tracer", "/find", {"q": fields["email"](0)}, X_Hocket_Act="1")
    return 2


async def publish_what_is_invalid(shop: Shop) -> int:
    """For each sensitive field of each model that is heard: events whose data do not fit, in both modes."""
    count = 0
    connection = await aio_pika.connect(shop.config.broker_url)
    channel = await connection.channel()
    exchange = await channel.get_exchange("hocket.events", ensure=False)
    for model in sensitive_models():
        for name in model.__hocket_sensitive__:
            secret = VALUES[name].format("invalid")
            for wrong in ([secret], {secret: 1}, {"deep": {"deeper": [secret]}}):
                count += 1
                envelope = {
                    "specversion": "1.0", "id": f"invalid-{count}", "source": "/stranger",
                    "type": model.__hocket_type__,
                }  # fmt: skip
                data = {**dict.fromkeys(model.model_fields, 7), name: wrong}
                key = f"{model.__hocket_type__}.v{model.__hocket_version__}"
                message = aio_pika.Message(
                    json.dumps({**envelope, "data": data}).encode(), content_type="application/cloudevents+json"
                )
                if count % 2:
                    headers = {f"cloudEvents_{each}": value for each, value in envelope.items()}
                    message = aio_pika.Message(
                        json.dumps(data).encode(), content_type="application/json", headers=dict(headers)
                    )
                await exchange.publish(message, key)
    await connection.close()
    return count


async def at_rest(shop: Shop, least: int) -> None:
    """Until the letters are there, and both consoles have read as much as they will."""

    async def done() -> bool:
        letters = await shop.letters()
        async with shop.http.get(shop.url("tracer", "/api/flows?limit=200")) as answer:
            flows = (await answer.json())["flows"]
        states = Counter(each["state"] for each in flows)
        return len(letters) >= least and len(flows) >= 10 and states["waiting"] + states["running"] == 0

    await settled(done, PATIENCE)


def look_everywhere(search: Search, shop: Shop, log: Path) -> None:
    """What needs no further request."""
    for number, line in enumerate(log.read_text(encoding="utf-8").splitlines()):
        search.look("log line", str(number), line)
    for span in shop.exporter.get_finished_spans():
        search.look("span", span.name, in_one_text([span]))
    for where, text in shop.answers:
        search.look("answer", where, text)
    for setting in listed(shop.config):
        search.look("setting", setting.name, f"{setting.value} {setting.default} {setting.meaning}")
    search_messages(search, shop.messages)


async def look_at_pages(search: Search, shop: Shop) -> None:
    """Both consoles by every link, their APIs, and health and metrics of every service."""
    for service in shop.ports:
        await search_pages(
            search, shop.http, [shop.url(service, path) for path in ("/metrics", "/health/live", "/health/ready")]
        )
    await search_pages(search, shop.http, [shop.url("tracer", "/"), shop.url("tracer", "/flows")])
    await search_pages(search, shop.http, [shop.url("deadletters", path) for path in ("/", "/?show=all", "/letters")])
    async with shop.http.get(shop.url("tracer", "/api/flows?limit=200")) as answer:
        flows = [each["id"] for each in (await answer.json())["flows"]]
    letters = [each["id"] for each in await shop.letters()]
    desk = [f"/api/dead/{each}{more}" for each in letters for more in ("", "/replay")]
    await search_pages(search, shop.http, [shop.url("tracer", f"/api/flows/{each}") for each in flows])
    await search_pages(search, shop.http, [shop.url("tracer", "/api/flows"), shop.url("deadletters", "/api/dead")])
    await search_pages(search, shop.http, [shop.url("deadletters", each) for each in desk])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where everything that anybody logs goes, at the level where most is said."""
    return tmp_path / "shop.log"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_no_secret_leaves_a_service(
    database: str, tmp_path: Path, log: Path, broker_url: str, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """RULES 18.1: N places searched, 0 found; and the search itself finds what is kept whole, so it can find."""
    address, tables = f"sqlite:///{tmp_path}/{{service}}.db", f"sqlite+aiosqlite:///{tmp_path}/{{service}}.db"
    secrets = {"password of a setting": PASSWORD, "key of the pseudonyms": KEY, "field": FIELD_MARK}
    if database == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        for service in SERVICES:
            server.add_database(f"{service.name}_secret")
        address = server.url("SERVICE").replace("SERVICE", "{service}_secret")
        tables = address.replace("postgresql://", "postgresql+asyncpg://")
        secrets["password of the database"] = server.password
    secrets["password of the broker"] = broker_url.split("@", maxsplit=1)[0].rpartition(":")[2]
    config = Config(broker_url=broker_url, database_url=address, pseudonym_key=KEY, log_level="DEBUG")
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    with log.open("w", encoding="utf-8") as stream:
        logs.configure("DEBUG", stream)
        try:
            careless = make_careless(monkeypatch)
            async with running(config, monkeypatch) as shop:
                least = await sell(shop) + await publish_what_is_invalid(shop)
                await at_rest(shop, least)
                search = Search(secrets)
                await look_at_pages(search, shop)
        finally:
            logging.getLogger().handlers[:] = before
            logging.getLogger().setLevel(level)
            structlog.reset_defaults()
    look_everywhere(search, shop, log)
    for service in SERVICES:
        await search_database(search, tables.replace("{service}", service.name), service.name)
    assert sum(each.failed for each in careless) >= len(careless) * 2
    for kind in ("log line", "span", "header", "receipt", "column", "page", "answer", "attributes", "setting"):
        assert search.kinds.get(kind), f"nothing was searched in any {kind}"
    with capsys.disabled():
        print(f"\n{database}: {search.places} places searched, {len(search.found)} found: {search.kinds}")
    assert [str(each) for each in search.found] == [], Counter(each.place for each in search.found)


def test_every_sensitive_field_of_the_shop_is_marked() -> None:
    """The fields are found in the declarations; one that has no marked value here would not be searched for."""
    names = {name for model in sensitive_models() for name in model.__hocket_sensitive__}
    assert names == set(VALUES)

"""The one place that picks drivers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Service
from hocket.assembly import Assembly
from hocket.config import Config
from hocket.errors import ConfigError

quiet = Service("quiet", owner="team-tower")
other = Service("other", owner="team-tower")


def config(folder: Path, *, broker: str = "memory://", database: str = "") -> Config:
    """Of a process on loopback."""
    return Config.model_construct(
        broker_url=broker, database_url=database or f"sqlite:///{folder}/{{service}}.db", http_host="127.0.0.1"
    )


async def test_services_start_stop_and_are_killed_one_by_one(tmp_path: Path) -> None:
    """Each has its own database and broker connection; a killed one starts again on its file."""
    assembly = Assembly(config(tmp_path))
    for service in (quiet, other):
        await assembly.start(service, 0)
    await assembly.kill("quiet")
    part = await assembly.start(quiet, 0)
    async with asyncio.timeout(10):
        await part.transport.until_ready()
    await assembly.stop("other")
    await assembly.close()
    assert assembly.parts == {}
    assert {path.name for path in tmp_path.glob("*.db")} == {"quiet.db", "other.db"}


@pytest.mark.parametrize(
    ("broker", "database", "sentence"),
    [
        ("http://x", "", "set it to amqp://…, amqps://… or memory://"),
        ("memory://", "mysql://x/y", "hocket keeps its data in sqlite:///PATH or postgresql://"),
    ],
)
async def test_what_nobody_drives_is_refused(tmp_path: Path, broker: str, database: str, sentence: str) -> None:
    """`ConfigError` with the object, its value and the way out."""
    assembly = Assembly(config(tmp_path, broker=broker, database=database))
    with pytest.raises(ConfigError, match=sentence):
        await assembly.start(quiet, 0)
    await assembly.close()


async def test_a_file_that_is_held_leaves_the_second_start_nothing(tmp_path: Path) -> None:
    """RULES 3.3: one process a file; the sentence says who holds it, and the first goes on."""
    first, second = Assembly(config(tmp_path)), Assembly(config(tmp_path))
    await first.start(quiet, 0)
    with pytest.raises(ConfigError, match="is held by process"):
        await second.start(quiet, 0)
    assert second.parts == {}
    assert first.parts["quiet"].worker.live
    await second.close()
    await first.close()


def families(text: str) -> dict[str, float]:
    """The samples of a page of metrics, by name and labels."""
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


async def test_each_port_shows_the_metrics_of_its_own_service(tmp_path: Path) -> None:
    """Who scrapes every port of one process counts nothing twice; the link has a sample from the start."""
    assembly = Assembly(config(tmp_path))
    pages: list[dict[str, float]] = []
    for service in (quiet, other):
        await assembly.start(service, 0)
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        for name, part in assembly.parts.items():
            await part.transport.until_ready()
            while f'hocket_link_up{{service="{name}"}} 1.0' not in (page := await _metrics(http, part.web.port)):  # noqa: ASYNC110 -- bounded
                await asyncio.sleep(0.05)
            pages.append(families(page))
    assert not pages[0].keys() & pages[1].keys()
    links = [sample for page in pages for sample in page if sample.startswith("hocket_link_up")]
    assert sorted(links) == ['hocket_link_up{service="other"}', 'hocket_link_up{service="quiet"}']
    await assembly.close()


async def _metrics(http: aiohttp.ClientSession, port: int) -> str:
    async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return await answer.text()


async def test_two_services_on_one_database_are_refused(tmp_path: Path) -> None:
    """The second one is told whose tables these are; the first may start there again."""
    one = config(tmp_path, database=f"sqlite:///{tmp_path}/shared.db")
    for _ in range(2):
        assembly = Assembly(one)
        await assembly.start(quiet, 0)
        await assembly.close()
    second = Assembly(one)
    with pytest.raises(ConfigError, match="service other holds the tables of service quiet: give each its own"):
        await second.start(other, 0)
    await second.close()


class Limits(BaseSettings):
    """A team's own."""

    model_config = SettingsConfigDict(env_prefix="BELLS_")
    most: int = 1


async def test_invalid_settings_are_one_sentence_before_anything_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routes that read them are not even mounted: no traceback of theirs stands in the sentence's place."""

    @asynccontextmanager
    async def uses(limits: Limits) -> AsyncIterator[Limits]:
        yield limits

    service: Service[Limits] = Service("bells", owner="team-tower", settings=Limits, uses=uses)
    mounted = []

    @service.http
    def routes(app: web.Application) -> None:
        mounted.append(Limits().most)

    monkeypatch.setenv("BELLS_MOST", "x")
    assembly = Assembly(config(tmp_path))
    with pytest.raises(ConfigError, match="service bells: BELLS_MOST is not valid: input should be a valid integer"):
        await assembly.start(service, 0)
    assert mounted == []
    assert assembly.parts == {}

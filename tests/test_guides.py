"""The samples of docs/handlers.md and docs/testing.md are run as they stand there."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from hocket.testing import play

DOCS = Path(__file__).parents[1] / "docs"
#: Seconds that the tests of docs/testing.md may take, start of Python included.
PYTEST_SECONDS = 240
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
HEAD = re.compile(r"# (\w+)\.py(, continued)?\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files of both guides; each sample names its file."""
    names = set()
    for page in ("handlers.md", "testing.md"):
        for block in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
            head = HEAD.match(block)
            assert head is not None, f"{page}: a sample does not name its file:\n{block}"
            names.add(head[1])
            file = tmp_path / f"{head[1]}.py"
            assert file.exists() == bool(head[2]), f"{page}: the first sample of a file is not `continued`: {head[0]}"
            with file.open("a", encoding="utf-8") as out:
                out.write("\n\n" + block[head.end() :] if head[2] else block)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def load(folder: Path) -> Callable[[str], ModuleType]:
    """Imports one of the files."""
    return importlib.import_module


def test_the_tests_of_the_testing_guide_pass(folder: Path) -> None:
    """A reader who copies all samples into an empty folder and runs the command sees passing tests."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_mode=auto",
        "test_parcels.py",
    ]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PYTEST_SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    written = (folder / "test_parcels.py").read_text(encoding="utf-8").count("async def test_")
    assert f"{written} passed" in ended.stdout


async def test_a_request_of_the_handlers_guide_is_answered_and_said_once(load: Callable[[str], ModuleType]) -> None:
    """The same `request_id` again says nothing; the subject has a pseudonym in place of the address."""
    parcels, routes, events = load("parcels_service").parcels, load("http_routes").routes, load("events")
    async with play(parcels.using(None)) as stage:
        app = web.Application()
        routes(app)
        [route] = [each for each in app.router.routes() if each.method == "POST"]
        answers = [await route.handler(_Asked()) for _ in range(2)]  # type: ignore[arg-type]
        await stage.quiet()
        assert [each.status for each in answers] == [202, 200]
        [asked] = stage.said_of(events.CourierAsked)
        assert asked.email == "ada@example.com"


class _Asked:
    """A request as far as the route reads it."""

    async def json(self) -> dict[str, Any]:
        return {"request_id": "r1", "email": "ada@example.com"}


async def test_the_reader_of_the_handlers_guide_notes_every_event(load: Callable[[str], ModuleType]) -> None:
    """Each event of the log once, with its position."""
    audit, parcels, events = load("audit").audit, load("parcels_service").parcels, load("events")
    async with play(audit, parcels.using(None)) as stage:
        async with parcels.tx() as tx:
            tx.say(events.CourierAsked(email="ada@example.com"))
        await stage.quiet()
        async with audit.tx() as tx:
            rows = (await (await tx.db()).execute(load("audit").seen.select())).all()
    assert [row.what for row in rows] == ["courier.asked.v1"]


def test_the_service_of_the_handlers_guide_says_what_it_needs(folder: Path) -> None:
    """Started without its setting it names it; `hocket check` shows what it declares."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HOCKET_", "PARCELS_"))}
    for words, parts in (
        (("run", "parcels_service:0"), ("PARCELS_CARRIER_URL is missing: set it to a text (address of the carrier)",)),
        (("run", "parcels_service:0"), ("its subject 'person/{email:pseudonym}' has a pseudonym",)),
        (("check", "parcels_service", "audit"), ("parcels.pack hears payment.charged.v1", "parcels.unpack undoes")),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "hocket", *words],
            cwd=folder, env=environ, capture_output=True, text=True, timeout=PYTEST_SECONDS, check=False,
        )  # fmt: skip
        for part in parts:
            assert part in ended.stdout + ended.stderr

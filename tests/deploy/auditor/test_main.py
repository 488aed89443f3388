"""The program: reads over HTTP, prints the verdict, writes the report, ends with its status."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.auditor.evidence import Places, Unreadable, read, read_posts
from tests.deploy.auditor.books import Books, order_post, served

ROOT = Path(__file__).parents[3]
#: Seconds that the program may take.
PROGRAM_SECONDS = 30.0
LEAST = (
    "orders=6", "delivered=1", "declined=1", "out_of_stock=1", "timed_out=1", "customers_cancelled=1", "voids=2",
    "refunds=1", "releases=2", "recalls=1", "authorisation_requests_repeated=0",
    "dead_letters=1", "leads=4", "webhooks=2", "webhooks_doubled=1", "webhooks_reordered=1", "webhooks_refused=1",
)  # fmt: skip


async def run(places: Places, report: Path) -> tuple[int | None, str]:
    """Run the auditor as anybody does; its status and what it printed."""
    words = ["--sandbox", places.sandbox, "--orders", places.orders, "--desk", places.desk]
    words += ["--scoring", places.scoring, "--view", places.view]
    words += ["--posts", str(places.posts), "--report", str(report), "--broker", "memory"]
    words += [word for each in LEAST for word in ("--least", each)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.auditor", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(PROGRAM_SECONDS):
        printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_everything_is_read(tmp_path: Path) -> None:
    """What is spread over pages is read whole."""
    books = Books()
    async with served(books, tmp_path) as places:
        assert await read(places) == books.evidence()


async def test_good_books_end_with_0(tmp_path: Path) -> None:
    """Good books: status 0, and a report with every field."""
    async with served(Books(), tmp_path) as places:
        status, printed = await run(places, tmp_path / "report.json")
    assert (status, printed.splitlines()[-1]) == (0, "Verdict: the books balance.")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["broker"] == "memory"
    assert report["balanced"] is True
    assert report["captures"] - report["refunds"] == report["confirmed"] == 2


async def test_bad_books_end_with_1(tmp_path: Path) -> None:
    """A lost order: status 1, and its name in print and in the report."""
    books = Books()
    books.posts.append(order_post("Z"))
    async with served(books, tmp_path) as places:
        status, printed = await run(places, tmp_path / "report.json")
    assert status == 1
    assert "order/Z" in printed
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["lost"], report["findings"][0]["name"]) == (1, "order/Z")


async def test_what_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    """No record of the posts: status 2, and the sentence that names it."""
    async with served(Books(), tmp_path) as places:
        places.posts.unlink()
        status, printed = await run(places, tmp_path / "report.json")
    assert status == 2
    assert "posts.jsonl" in printed


async def test_another_answer_is_named(tmp_path: Path) -> None:
    """An address that is not the shop's is named, not guessed at."""
    async with served(Books(), tmp_path) as places:
        wrong = replace(places, orders=f"{places.orders}/nowhere")
        with pytest.raises(Unreadable, match=r"nowhere/orders.*status 404"):
            await read(wrong)


def test_a_record_that_was_cut_off_is_read_to_the_cut(tmp_path: Path) -> None:
    """The last line of the record may be half written; a broken line before it is damage."""
    record = tmp_path / "posts.jsonl"
    record.write_text('{"kind": "order"}\n{"kind": "le', encoding="utf-8")
    assert read_posts(record) == ({"kind": "order"},)
    record.write_text('{"kind": \n{"kind": "lead"}\n', encoding="utf-8")
    with pytest.raises(Unreadable, match="line 1"):
        read_posts(record)

"""What outsiders can see of the shop: the outside world's books, the orders, the desk's letters, the posts' record."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

#: Lines that one page is asked for; the shop's own bound.
PAGE = 500
#: Pages that one reading follows at most, so that a page that leads to itself ends.
MAX_PAGES = 2_000
#: Seconds that one page may take, and tries before a reading is given up.
PAGE_SECONDS = 10.0
PAGE_TRIES = 3
#: Seconds between two tries.
AGAIN_SECONDS = 0.5
#: The two ways to ask for a page, behind a number or at the cursor that the page before gave; what the first says.
AFTER, CURSOR = "after", "cursor"
FIRST: Mapping[str, object] = {AFTER: 0, CURSOR: ""}

Row = Mapping[str, Any]


class Unreadable(Exception):
    """Something that the auditor must see cannot be read; the text says what, why and the way out."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the auditor knows, as it was told: records, answers of the shop, the books of each outside system."""

    posts: tuple[Row, ...] = ()
    orders: tuple[Row, ...] = ()
    cards: tuple[Row, ...] = ()
    stock: tuple[Row, ...] = ()
    carrier: tuple[Row, ...] = ()
    crm: tuple[Row, ...] = ()
    mail: tuple[Row, ...] = ()
    mails: tuple[Row, ...] = ()  # each mail that was sent, once
    letters: tuple[Row, ...] = ()
    scores: tuple[Row, ...] = ()
    viewed: tuple[Row, ...] = ()  # orders as the read side shows them
    lines: tuple[Row, ...] = ()  # of the customers' histories, about leads


@dataclass(frozen=True, slots=True)
class Places:
    """Where the evidence is found: addresses, and the file that the load generator writes."""

    sandbox: str
    orders: str
    desk: str
    scoring: str
    view: str
    posts: Path


async def read(places: Places) -> Evidence:
    """Read everything. Raises `Unreadable`."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PAGE_SECONDS)) as http:
        return Evidence(
            posts=read_posts(places.posts),
            orders=await _all(http, f"{places.orders}/orders", "orders"),
            cards=await _all(http, f"{places.sandbox}/books/cards", "books"),
            stock=await _all(http, f"{places.sandbox}/books/stock", "books"),
            carrier=await _all(http, f"{places.sandbox}/books/carrier", "books"),
            crm=await _all(http, f"{places.sandbox}/books/crm", "books"),
            mail=await _all(http, f"{places.sandbox}/books/mail", "books"),
            mails=await _all(http, f"{places.sandbox}/mailbox", "mails"),
            letters=await _all(http, f"{places.desk}/api/dead", "letters"),
            scores=await _all(http, f"{places.scoring}/scores", "scores"),
            viewed=await _all(http, f"{places.view}/orders", "orders", CURSOR),
            lines=await _all(http, f"{places.view}/history?type=lead.captured", "history", CURSOR),
        )


def read_posts(path: Path) -> tuple[Row, ...]:
    """The record of the posts; a last line that was cut off is left out. Raises `Unreadable`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as failed:
        raise Unreadable(
            f"the record of the posts {path} cannot be read ({failed.strerror}): name the load generator's file "
            "by --posts"
        ) from failed
    found: list[Row] = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as wrong:
            if number == len(lines):
                break
            raise Unreadable(f"line {number} of {path} is no JSON: the record is damaged") from wrong
    return tuple(found)


async def _all(http: aiohttp.ClientSession, url: str, field: str, by: str = AFTER) -> tuple[Row, ...]:
    return tuple([row async for page in _pages(http, url, field, by) for row in page])


async def _pages(http: aiohttp.ClientSession, url: str, field: str, by: str) -> AsyncIterator[list[Row]]:
    after: object = FIRST[by]
    for _ in range(MAX_PAGES):
        answer = await _page(http, url, {by: str(after), "limit": str(PAGE)})
        if not isinstance(answer.get(field), list):
            raise Unreadable(f"GET {url} answered without a list {field!r}: see that the address is the right one")
        yield answer[field]
        after = answer.get("next")
        if after is None:
            return
    raise Unreadable(f"GET {url} does not end after {MAX_PAGES} pages of {PAGE}")


async def _page(http: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> dict[str, Any]:
    said = ""
    for attempt in range(PAGE_TRIES):
        if attempt:
            await asyncio.sleep(AGAIN_SECONDS)
        try:
            async with http.get(url, params=query) as answer:
                if answer.status == 200:
                    page: dict[str, Any] = await answer.json()
                    return page
                said = f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
            said = str(failed) or type(failed).__name__
    raise Unreadable(f"GET {url} does not work ({said}): see that the shop runs and that the address is right")

"""Every place where something of a running shop can be read, and what is looked for there. Knows nothing of masking."""

import base64
import html
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urljoin

import aiohttp
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import MetaData, select
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import create_async_engine

#: The columns that hold an event itself, which is kept whole by design: so that it can be sent, told and replayed.
KEPT_WHOLE: Mapping[str, str] = {
    "hocket_outbox.body": "what waits to be published",
    "hocket_kept.input": "what a step received, for its undo",
    "hocket_kept.results": "what a step said, for its undo",
    "hocket_ledger.failure": "what the step failed by",
    "tracer.events.data": "the tracer's copy of the log; its pages mask it",
    "tracer.aside.body": "what the tracer could not read",
    "deadletters.letters.body": "the letter, byte for byte; the desk's pages mask it",
}
#: Tables that a team declares for its own business hold what the team writes there.
OWN_TABLES: Mapping[str, str] = {
    "orders": "orders it took, with the address to write to",
    "inventory": "its stock",
    "notifications": "whom it wrote to",
    "payments": "what it holds and took",
    "shipping": "its parcels",
    "crm": "contacts",
    "sandbox": "what it was asked: it plays the world outside, which gets the data in clear",
}
_LINK = re.compile(rb'(?:href|action)="([^"#]+)"')


class Finding(NamedTuple):
    """One secret in one place."""

    place: str
    secret: str
    spelling: str
    near: str


@dataclass
class Search:
    """Looks for secrets, and counts where it looked."""

    secrets: Mapping[str, str]  # a name for each
    places: int = 0
    found: list[Finding] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._needles = [
            (name, how, needle.lower()) for name, secret in self.secrets.items() for how, needle in spellings(secret)
        ]

    def look(self, kind: str, place: str, text: str | bytes) -> None:
        """One place: all its bytes, in any case of letters."""
        self.places += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        low = (text.encode(errors="surrogatepass") if isinstance(text, str) else text).lower()
        for name, how, needle in self._needles:
            at = low.find(needle)
            if at >= 0:
                self.found.append(Finding(f"{kind}: {place}", name, how, repr(low[max(0, at - 90) : at + 90])))


def spellings(secret: str) -> Iterator[tuple[str, bytes]]:
    """The secret as bytes in each way that somebody could still read."""
    raw = secret.encode()
    texts = {
        "as it is": secret,
        "in capitals": secret.upper(),
        "in a URL": quote(secret, safe=""),
        "in a path": quote(secret),
        "in a form": quote_plus(secret),
        "in JSON": json.dumps(secret)[1:-1],
        "in JSON in JSON": json.dumps(json.dumps(secret))[3:-3],
        "as Python writes it": repr(secret)[1:-1],
        "in HTML": html.escape(secret),
        "in hex": raw.hex(),
    }
    for how, text in texts.items():
        yield how, text.encode()
    yield "in UTF-16", secret.encode("utf-16-le")
    yield "in UTF-16, big end first", secret.encode("utf-16-be")
    for shift in range(3):
        packed = base64.b64encode(b"." * shift + raw)[(0, 2, 3)[shift] :].rstrip(b"=")
        yield f"in base64, {shift} bytes behind", packed[: -2 if (shift + len(raw)) % 3 else None]


def search_messages(search: Search, messages: Iterable[AbstractIncomingMessage]) -> None:
    """Every property and header of every message, and every body but that of an event, whose data is its purpose."""
    for each in messages:
        where = f"{each.exchange} {each.routing_key}"
        for name, value in each.headers.items():
            search.look("header", f"{where} {name}", str(value))
        said = [each.message_id, each.correlation_id, each.type, each.app_id, each.user_id, each.reply_to]
        search.look("properties", where, repr([each.content_type, *said]))
        if each.exchange == "hocket.receipts":
            search.look("receipt", where, each.body)
            continue
        try:
            envelope = json.loads(each.body)
        except ValueError:
            continue
        if isinstance(envelope, dict) and "specversion" in envelope:  # else the body is the data of an event
            search.look("attributes", where, json.dumps({k: v for k, v in envelope.items() if k != "data"}))


async def search_database(search: Search, url: str, service: str) -> None:
    """Every column of every row of every table, but those that are kept whole by design."""
    engine = create_async_engine(url)
    async with engine.connect() as db:
        shape = MetaData()
        with warnings.catch_warnings():  # an index on an expression has no column to look into
            warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index", SAWarning)
            await db.run_sync(shape.reflect)
        for table in shape.sorted_tables:
            if service in OWN_TABLES and not table.name.startswith("hocket_"):
                continue
            for row in (await db.execute(select(table))).mappings():
                for name, value in row.items():
                    place = f"{table.name}.{name}"
                    if place not in KEPT_WHOLE and f"{service}.{place}" not in KEPT_WHOLE:
                        said = bytes(value) if isinstance(value, bytes | memoryview) else str(value)
                        search.look("column", f"{service} {place}", said)
    await engine.dispose()


async def search_pages(search: Search, http: aiohttp.ClientSession, start: Iterable[str], most: int = 150) -> None:
    """Every page that can be reached from these by links on the same host, also those that say an error."""
    waiting, seen = list(start), set(start)
    while waiting and len(seen) <= most:
        url = waiting.pop(0)
        async with http.get(url, allow_redirects=False) as answer:
            body = await answer.read()
            search.look("page", url, body)
            search.look("answer's headers", url, json.dumps(dict(answer.headers)))
        for link in _LINK.findall(body):
            further = urljoin(url, html.unescape(link.decode()))
            if further.startswith(url[: url.index("/", 8)]) and further not in seen and "/static/" not in further:
                seen.add(further)
                waiting.append(further)


def in_one_text(spans: Iterable[Any]) -> str:
    """Everything that spans carry."""
    return "\n".join(each.to_json() for each in spans)

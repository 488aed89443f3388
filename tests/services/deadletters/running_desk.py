"""The desk on a real database and a real port, fed by hand; what it sends is recorded instead."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import aiohttp
from aiohttp import web

from hocket.clock import SystemClock, rfc3339
from hocket.declarations.requests.command import Command
from hocket.delivery.ending.dead_letter import foreign_of
from hocket.envelope import CONTENT_TYPE
from hocket.envelope.ids import Ids
from hocket.errors import TransportError
from hocket.observe import Raw, Reader
from hocket.outbox.builder import OutboxBuilder
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.pseudonym import Pseudonyms
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import alone
from hocket.runtime import here
from hocket.setting_groups import MAX_EVENT_BYTES
from hocket.store.port import Store
from hocket.telemetry.signals import Signals
from hocket.worker.http.server import HttpServer
from services.deadletters import deadletters
from services.deadletters.handlers import settle, take
from services.deadletters.service import Settings
from tests.hocket.sample_runtime import runtime_of
from tests.services.databases import store_at, within

ACT = {"X-Hocket-Act": "1"}
TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3.11/asyncio/tasks.py", line 520, in wait_for
    return await fut
           ^^^^^^^^^
  File "/srv/shared/hocket/delivery/handle.py", line 88, in run
    said = await call(event, tx)
  File "/srv/services/crm/handlers.py", line 57, in record_order
    territory = TERRITORIES[order.address["region"]]
  File "/usr/lib/python3.11/site-packages/mapping.py", line 9, in __getitem__
    raise KeyError(key)
KeyError: 'region'
"""


@dataclass
class RunningDesk:
    """One running desk."""

    store: Store
    outside_transactions: OutsideTransactions
    url: str = ""
    http: aiohttp.ClientSession = field(default=None)  # type: ignore[assignment]
    sent: list[tuple[str, bytes, str, str, int]] = field(default_factory=list)
    headers: dict[str, str | int] = field(default_factory=dict)  # the foreign ones of the last replay
    boot: str = "mine"
    reading: ClassVar[Any] = None  # it has no projection
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    refuses: str = ""  # what the broker says instead of taking a replay

    def outside(
        self, key: str | None, correlation_id: str | None, connection: object = None
    ) -> AbstractAsyncContextManager[Any]:
        """A real transaction."""
        return self.outside_transactions.transaction(key, correlation_id)

    async def command(self, command: Command, request: web.Request) -> web.StreamResponse:
        """No command is asked for here."""
        raise NotImplementedError

    async def send(
        self, subscription: str, body: bytes, content_type: str, *,
        attempt: int, replay: str = "", death: str = "", headers: Mapping[str, object] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Recorded: (subscription, body, content type, replay id, attempt)."""
        if self.refuses:
            raise TransportError(self.refuses)
        self.sent.append((subscription, body, content_type, replay, attempt))
        self.headers = foreign_of(headers)

    async def dead(self, *letters: Raw) -> None:
        """Letters arrive, as one batch."""
        await self._read(take, list(letters))

    async def told(self, *facts: dict[str, Any]) -> None:
        """Facts arrive, as one message."""
        await self._read(settle, [Raw(json.dumps(facts).encode(), offset=0)])

    async def _read(self, reader: Reader, batch: list[Raw]) -> None:
        async with self.store.transaction() as tx:
            await reader(batch, within(tx, Settings()))

    async def letter(self, id: str) -> dict[str, Any]:
        """One letter by the API."""
        async with self.http.get(f"/api/dead/{id}") as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def letters(self, query: str = "") -> dict[str, Any]:
        """`GET /api/dead`."""
        async with self.http.get(f"/api/dead{query}") as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def act(self, id: str, act: str, status: int, reason: str = "mended") -> dict[str, Any]:
        """`POST` an act as a program does and expect this status."""
        async with self.http.post(f"/api/dead/{id}/{act}", json={"reason": reason}, headers=ACT) as answer:
            assert answer.status == status, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def running_desk(address: str, key: str = "") -> AsyncIterator[RunningDesk]:
    """A desk that runs until the block ends, on the database of this address, with this pseudonym key."""
    clock, ids, signals = SystemClock(), Ids(SystemClock(), random.Random(1)), Signals()
    builder = OutboxBuilder("deadletters", ids, clock, signals, MAX_EVENT_BYTES)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_at(address, deadletters.tables))
        outside_transactions = OutsideTransactions(
            runtime_of("deadletters", store, clock), deadletters.declarations, builder, alone(clock),
            lambda: False, lambda rows: None, BlockingCalls(0),
        )  # fmt: skip
        made = RunningDesk(store, outside_transactions, pseudonyms=Pseudonyms.of(key))
        stack.enter_context(here({"deadletters": made}))
        web = HttpServer("deadletters", "127.0.0.1", 0, deadletters.mounts, list, lambda: True, bytes)
        await web.start()
        stack.push_async_callback(web.stop)
        made.url = f"http://127.0.0.1:{web.port}"
        made.http = await stack.enter_async_context(aiohttp.ClientSession(made.url))
        yield made


def time(second: float) -> str:
    """A moment of a fixed day."""
    return f"2026-11-10T13:42:{second:09.6f}Z"


def event(number: int = 1, **data: Any) -> bytes:
    """The body of an `order.placed`."""
    return json.dumps({
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "/orders",
        "type": "order.placed",
        "dataschema": "urn:hocket:order.placed:1",
        "subject": f"order/{number}",
        "time": time(1),
        "correlationid": f"flow-{number}",
        "idempotencykey": f"order-{number}",
        "datacontenttype": "application/json",
        "data": {"order_id": str(number), "email": f"ada{number}@example.com", "total_cents": 12990, **data},
    }).encode()  # fmt: skip


def dead(number: int = 1, attempt: int = 5, *, body: bytes | None = None, **headers: Any) -> Raw:
    """A letter of `crm.record_order`, as the kit buries it; `headers` without `hocket-`, `_` for `-`."""
    runs = [
        {
            "attempt": run,
            "began": time(2 * run),
            "ended": time(2 * run + 0.17),
            "word": "dead" if run == attempt else "retry",
            "cause": "KeyError",
            "error": "'region'",
            "trace": TRACE,
        }
        for run in range(max(1, attempt - 2), attempt + 1)
    ]
    whole: dict[str, object] = {
        "hocket-death-id": f"letter-{number}",
        "hocket-death-subscription": "crm.record_order",
        "hocket-death-cause": "KeyError",
        "hocket-death-error": "'region'",
        "hocket-death-time": time(2 * attempt + 0.2),
        "hocket-death-attempt": attempt,
        "hocket-attempt": attempt,
        "hocket-death-spoke": 0,
        "hocket-death-history": json.dumps(runs),
    }
    whole |= {f"hocket-{name.replace('_', '-')}": value for name, value in headers.items()}
    body = event(number) if body is None else body
    return Raw(body, {k: v for k, v in whole.items() if v is not None}, None, CONTENT_TYPE, "crm.record_order")


def receipt(number: int = 1, attempt: int = 6, outcome: str = "handled", **more: Any) -> dict[str, Any]:
    """A receipt of `crm.record_order`."""
    return {
        "kind": "receipt",
        "service": "crm",
        "subscription": "crm.record_order",
        "event": {"id": f"event-{number}", "source": "/orders", "type": "order.placed", "version": 1},
        "subject": f"order/{number}",
        "correlationid": f"flow-{number}",
        "attempt": attempt,
        "outcome": outcome,
        "began": time(2 * attempt),
        "ended": time(2 * attempt + 0.1),
        "time": time(2 * attempt + 0.1),
        "replay": None,
        "next_at": None,
        **more,
    }


def manifest(**more: Any) -> dict[str, Any]:
    """What crm reports of itself."""
    return {
        "kind": "manifest",
        "service": "crm",
        "owner": "team-growth",
        "time": rfc3339(SystemClock().now()),
        "subscriptions": [
            {
                "name": "crm.record_order",
                "hears": [["order.placed", 1]],
                "says": [["order.recorded", 1]],
                "scheduled": [],
                "undo_of": None,
                "why": [],
                "on_dead": [],
                "breaker": "crm-api",
                "attempts": 5,
            }
        ],
        "says": [["order.recorded", 1]],
        "sensitive": {"order.placed/1": ["email"]},
        **more,
    }

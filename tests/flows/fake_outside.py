"""The outside world inside the test's own process: the sandbox's rules and faults, without HTTP and without waiting."""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import NamedTuple

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from services.crm.domain import contact_of, entry_of
from services.crm.events import LeadCaptured
from services.inventory.domain import Refused as StockRefused
from services.inventory.domain import Reserved, SoldOut, read_release, read_reservation
from services.notifications.domain import Mail
from services.payments.domain import (
    Authorised,
    Captured,
    Declined,
    GivenBack,
    Lapsed,
    Refused,
    read_authorisation,
    read_capture,
    read_refund,
    read_void,
)
from services.sandbox.domain import Api, Asked, Did, Entry, Target, Verdict, decide
from services.sandbox.faults import Faults, Kind, NewFault
from services.shipping.domain import Booked, NotCarried, read_parcel, read_recall
from services.shipping.domain import Refused as ParcelRefused


class Stands(NamedTuple):
    """What stands after all that was done and given back: money held, money taken, goods, parcels."""

    held: int
    taken: int
    goods: int
    parcels: int

    def times(self, count: int) -> "Stands":
        """The same of so many orders."""
        return Stands(*(count * each for each in self))


class FakeOutside:
    """Books and faults, in the running loop's time.

    `error` and `down` raise `aiohttp.ClientError`, `timeout_after` acts and raises `TimeoutError`, and a system that is
    `busy` raises what aiohttp does for a 429.
    """

    def __init__(self) -> None:
        self.lines: list[Entry] = []
        self.faults = Faults()
        self.busy: dict[Target, int] = {}  # the systems that answer 429, and the seconds of their Retry-After

    def fault(
        self, target: Target, kind: Kind, *, api: Api | None = None, times: int | None = None, **match: str
    ) -> int:
        """Let a fault stand and return its id."""
        new = NewFault(target=target, kind=kind, api=api, times=times, match=dict(match))
        fault = self.faults.add(new, 0.0)
        assert fault is not None
        return fault.id

    def did(self, target: Target) -> list[Did]:
        """What the requests to one system did, in order, those aside that failed."""
        return [
            line.verdict.did for line in self.lines if line.asked.api.target is target and line.verdict.status < 429
        ]

    def stands(self) -> Stands:
        """What stands now."""
        did = Counter(line.verdict.did for line in self.lines)
        return Stands(
            held=did[Did.AUTHORISED] - did[Did.VOIDED] - did[Did.CAPTURED],
            taken=did[Did.CAPTURED] - did[Did.REFUNDED],
            goods=did[Did.RESERVED] - did[Did.RELEASED],
            parcels=did[Did.BOOKED] - did[Did.RECALLED],
        )

    def mailbox(self) -> list[tuple[object, object]]:
        """(address, kind) of each mail that was sent."""
        sent = (line.asked.request for line in self.lines if line.verdict.did is Did.SENT)
        return [(request["to"], request["kind"]) for request in sent]

    def ask(self, api: Api, key: str, request: dict[str, object]) -> tuple[int, dict[str, object]]:
        """One request, booked."""
        now = asyncio.get_running_loop().time()
        if api.target in self.busy:
            self.lines.append(Entry(len(self.lines) + 1, Asked(api, key, request, now), Verdict(429, Did.NONE), now))
            raise _busy(self.busy[api.target])
        fault = self.faults.befall(api, request, 0.0)
        kind = fault.kind if fault else None
        asked = Asked(api, key, request, now, kind or "", kind is Kind.DECLINE)
        down = kind in {Kind.ERROR, Kind.DOWN}
        verdict = Verdict(500, Did.NONE) if down else decide(len(self.lines) + 1, asked, self.lines)
        self.lines.append(Entry(len(self.lines) + 1, asked, verdict, now))
        if down:
            raise aiohttp.ClientConnectionError(f"{api} is {kind}")
        if kind is Kind.TIMEOUT_AFTER:
            raise TimeoutError
        return verdict.status, dict(verdict.answer)


def _busy(seconds: int) -> aiohttp.ClientResponseError:
    url = URL("http://outside.example")
    about = aiohttp.RequestInfo(url, "POST", CIMultiDictProxy(CIMultiDict()), url)
    return aiohttp.ClientResponseError(about, (), status=429, headers=CIMultiDict({"Retry-After": str(seconds)}))


class FakeCards:
    """The card system outside."""

    def __init__(self, outside: FakeOutside) -> None:
        self._outside = outside

    async def authorise(
        self, order_id: str, card: str, total_cents: int, *, key: str
    ) -> Authorised | Declined | Refused:
        """See `services.payments.service.Cards`."""
        body: dict[str, object] = {"order_id": order_id, "card": card, "total_cents": total_cents}
        return read_authorisation(*self._outside.ask(Api.AUTHORISATIONS, key, body))

    async def void(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """See `services.payments.service.Cards`."""
        return read_void(*self._outside.ask(Api.VOIDS, key, {"order_id": order_id, "original": original}))

    async def capture(
        self, order_id: str, authorisation_id: str, total_cents: int, *, key: str
    ) -> Captured | Lapsed | Refused:
        """See `services.payments.service.Cards`."""
        body: dict[str, object] = {
            "order_id": order_id, "authorisation_id": authorisation_id, "total_cents": total_cents,
        }  # fmt: skip
        return read_capture(*self._outside.ask(Api.CAPTURES, key, body))

    async def refund(self, order_id: str, *, key: str, original: str) -> GivenBack | Refused:
        """See `services.payments.service.Cards`."""
        return read_refund(*self._outside.ask(Api.REFUNDS, key, {"order_id": order_id, "original": original}))


class FakeStock:
    """The shop system outside."""

    def __init__(self, outside: FakeOutside) -> None:
        self._outside = outside

    async def reserve(self, order_id: str, sku: str, quantity: int, *, key: str) -> Reserved | SoldOut | StockRefused:
        """See `services.inventory.service.Stock`."""
        body: dict[str, object] = {"order_id": order_id, "sku": sku, "quantity": quantity}
        return read_reservation(*self._outside.ask(Api.RESERVATIONS, key, body))

    async def release(self, order_id: str, *, key: str, original: str) -> StockRefused | None:
        """See `services.inventory.service.Stock`."""
        return read_release(*self._outside.ask(Api.RELEASES, key, {"order_id": order_id, "original": original}))


class FakeCarrier:
    """The carrier outside."""

    def __init__(self, outside: FakeOutside) -> None:
        self._outside = outside

    async def book(self, order_id: str, sku: str, quantity: int, *, key: str) -> Booked | NotCarried | ParcelRefused:
        """See `services.shipping.service.Carrier`."""
        body: dict[str, object] = {"order_id": order_id, "sku": sku, "quantity": quantity}
        return read_parcel(*self._outside.ask(Api.PARCELS, key, body))

    async def recall(self, order_id: str, *, key: str, original: str) -> str | ParcelRefused:
        """See `services.shipping.service.Carrier`."""
        return read_recall(*self._outside.ask(Api.RECALLS, key, {"order_id": order_id, "original": original}))


class FakePost:
    """The mail system outside."""

    def __init__(self, outside: FakeOutside) -> None:
        self._outside = outside

    async def send(self, mail: Mail, *, key: str) -> None:
        """See `services.notifications.service.Post`."""
        self._outside.ask(Api.MESSAGES, key, asdict(mail))


class FakeCustomers:
    """The customer system outside."""

    def __init__(self, outside: FakeOutside) -> None:
        self._outside = outside

    async def enter(self, lead: LeadCaptured, *, key: str) -> str:
        """See `services.crm.service.Customers`."""
        _, answer = self._outside.ask(Api.LEADS, key, dict(entry_of(lead)))
        return contact_of(answer)

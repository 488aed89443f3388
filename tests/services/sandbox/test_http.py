"""The outside world over real HTTP: what it does, what it books, and its faults."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.sandbox import sandbox
from tests.services.running_service import serving

HOLD = {"order_id": "A1", "card": "tok", "total_cents": 999}
MAIL = {"to": "ada@example.com", "title": "Welcome", "text": "Hello", "kind": "welcome"}


class SandboxClient:
    """The sandbox as a client sees it."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http

    async def post(self, path: str, body: object, key: str = "", **how: Any) -> tuple[int, Any]:
        """Post, with a key."""
        headers = {"Idempotency-Key": key} if key else {}
        async with self.http.post(path, json=body, headers=headers, **how) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> Any:
        """Read."""
        async with self.http.get(path) as answer:
            return await answer.json()

    async def books(self, target: str) -> list[Any]:
        """All lines of one system."""
        found: list[Any] = (await self.get(f"/books/{target}?limit=500"))["books"]
        return found

    async def did(self, target: str) -> list[tuple[str, int, str]]:
        """Key, status and deed of each line."""
        return [(line["key"], line["status"], line["did"]) for line in await self.books(target)]

    async def fault(self, **fault: object) -> int:
        """Let a fault stand."""
        status, answer = await self.post("/faults", fault)
        assert status == 201
        return int(answer["id"])


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[SandboxClient]:
    """A sandbox that runs."""
    async with serving(sandbox, tmp_path) as http:
        yield SandboxClient(http)


async def test_every_request_is_in_the_books(client: SandboxClient) -> None:
    """With its key, its JSON, both times, what it did, and the answer it got."""
    assert await client.post("/cards/authorisations", HOLD, "k1") == (201, {"id": "au_k1"})
    void = {"order_id": "A1", "original": "k1"}
    assert await client.post("/cards/voids", void, "v1") == (200, {"id": "vo_2", "voided_cents": 999})
    first, second = await client.books("cards")
    assert (first["target"], first["api"], first["key"], first["original"]) == (
        "cards",
        "cards/authorisations",
        "k1",
        "",
    )
    assert (first["request"], first["answer"], first["fault"]) == (HOLD, {"id": "au_k1"}, "")
    assert first["began"] <= first["ended"] <= second["began"]
    assert (second["did"], second["original"], second["request"]) == ("voided", "k1", void)


async def test_each_system_does_its_own(client: SandboxClient) -> None:
    """Stock, carrier, crm and mail act and book beside the cards; the mailbox holds each mail once."""
    reservation = {"order_id": "A1", "sku": "lamp", "quantity": 1}
    assert (await client.post("/stock/reservations", reservation, "s1"))[0] == 201
    sold_out = {**reservation, "sku": "sold-out"}
    assert await client.post("/stock/reservations", sold_out, "s2") == (409, {"error": "sold-out"})
    assert (await client.post("/stock/releases", {"order_id": "A1", "original": "s1"}, "l1"))[0] == 200
    assert (await client.post("/carrier/parcels", reservation, "p1"))[0] == 201
    too_big = {**reservation, "sku": "too-big"}
    assert await client.post("/carrier/parcels", too_big, "p2") == (422, {"error": "refused"})
    assert (await client.post("/carrier/recalls", {"order_id": "A1", "original": "p1"}, "b1"))[0] == 200
    assert (await client.post("/crm/leads", {"email": "a@b", "campaign": "x"}, "c1"))[0] == 201
    for _ in range(2):
        assert (await client.post("/mail/messages", MAIL, "m1"))[0] == 201
    assert await client.did("stock") == [("s1", 201, "reserved"), ("s2", 409, "rejected"), ("l1", 200, "released")]
    assert await client.did("carrier") == [("p1", 201, "booked"), ("p2", 422, "rejected"), ("b1", 200, "recalled")]
    assert await client.did("crm") == [("c1", 201, "entered")]
    assert await client.did("mail") == [("m1", 201, "sent"), ("m1", 201, "repeated")]
    [mail] = (await client.get("/mailbox"))["mails"]
    assert mail.items() >= {**MAIL, "key": "m1"}.items()


async def test_held_money_is_taken_and_refunded(client: SandboxClient) -> None:
    """The line of a capture names the key of its authorisation; a void afterwards gives nothing back."""
    await client.post("/cards/authorisations", HOLD, "k1")
    take = {"order_id": "A1", "authorisation_id": "au_k1", "total_cents": 999}
    assert await client.post("/cards/captures", take, "c1") == (201, {"id": "ca_2"})
    assert await client.post("/cards/captures", take, "c2") == (409, {"error": "captured"})
    void = await client.post("/cards/voids", {"order_id": "A1", "original": "k1"}, "v1")
    assert void == (200, {"id": "vo_4", "voided_cents": 0})
    refund = await client.post("/cards/refunds", {"order_id": "A1", "original": "c1"}, "r1")
    assert refund == (200, {"id": "re_5", "refunded_cents": 999})
    books = await client.books("cards")
    assert [(line["did"], line["original"]) for line in books] == [
        ("authorised", ""), ("captured", "k1"), ("rejected", "k1"), ("none", "k1"), ("refunded", "c1"),
    ]  # fmt: skip


async def test_many_at_once_under_one_key_hold_once(client: SandboxClient) -> None:
    """Fifty doubles at the same moment, beside fifty others: one authorisation a key."""
    answers = await asyncio.gather(
        *(client.post("/cards/authorisations", HOLD, "same") for _ in range(50)),
        *(client.post("/cards/authorisations", HOLD, f"k{number}") for number in range(50)),
    )
    assert {status for status, _ in answers} == {201}
    assert len({answer["id"] for _, answer in answers}) == 51
    did = [line["did"] for line in await client.books("cards")]
    assert (did.count("authorised"), did.count("repeated")) == (51, 49)


async def test_a_timeout_after_the_deed_gives_the_first_answer_later(client: SandboxClient) -> None:
    """The caller gives up, the money is held; asked again under its key it answers as it would have."""
    await client.fault(target="cards", kind="timeout_after", match={"card": "tok"}, times=1, delay_ms=400)
    with pytest.raises(TimeoutError):
        await client.post("/cards/authorisations", HOLD, "k1", timeout=aiohttp.ClientTimeout(total=0.1))
    assert await client.post("/cards/authorisations", HOLD, "k1") == (201, {"id": "au_k1"})
    async with asyncio.timeout(5):
        while (books := await client.books("cards"))[0]["ended"] is None:  # noqa: ASYNC110 - it stands behind HTTP
            await asyncio.sleep(0.02)
    assert [line["did"] for line in books] == ["authorised", "repeated"]
    assert books[0]["fault"] == "timeout_after"
    assert books[0]["ended"] - books[0]["began"] >= 0.4


async def test_a_delay_is_a_late_deed(client: SandboxClient) -> None:
    """A void that comes while a delayed authorisation is under way blocks it."""
    await client.fault(target="cards", kind="delay", match={"card": "tok"}, times=1, delay_ms=300)
    delayed = asyncio.create_task(client.post("/cards/authorisations", HOLD, "k1"))
    async with asyncio.timeout(5):
        while (await client.get("/faults"))["faults"]:  # noqa: ASYNC110 - it stands behind HTTP
            await asyncio.sleep(0.01)
    assert (await client.post("/cards/voids", {"order_id": "A1", "original": "k1"}, "v1"))[1]["voided_cents"] == 0
    assert (await delayed)[0] == 409
    assert await client.did("cards") == [("v1", 200, "blocked"), ("k1", 409, "none")]


@pytest.mark.parametrize(("kind", "status"), [("error", 500), ("down", 503)])
async def test_a_system_that_fails_does_nothing(client: SandboxClient, kind: str, status: int) -> None:
    """Until the fault is removed; the same key then acts."""
    fault = await client.fault(target="mail", kind=kind, match={"to": "ada@example.com"})
    assert (await client.post("/mail/messages", MAIL, "m1"))[0] == status
    assert (await client.post("/mail/messages", {**MAIL, "to": "bob@example.com"}, "m2"))[0] == 201
    async with client.http.delete(f"/faults/{fault}") as answer:
        assert answer.status == 204
    assert (await client.post("/mail/messages", MAIL, "m1"))[0] == 201
    assert await client.did("mail") == [("m1", status, "none"), ("m2", 201, "sent"), ("m1", 201, "sent")]
    assert [line["fault"] for line in await client.books("mail")] == [kind, "", ""]


async def test_a_system_that_hangs_does_nothing_and_answers_too_late(client: SandboxClient) -> None:
    """The caller has given up; nothing was done, so the same key acts once the fault is gone."""
    await client.fault(target="mail", kind="hang", times=1, delay_ms=400)
    with pytest.raises(TimeoutError):
        await client.post("/mail/messages", MAIL, "m1", timeout=aiohttp.ClientTimeout(total=0.1))
    assert (await client.post("/mail/messages", MAIL, "m1"))[0] == 201
    async with asyncio.timeout(5):
        while (books := await client.books("mail"))[0]["ended"] is None:  # noqa: ASYNC110 - it stands behind HTTP
            await asyncio.sleep(0.02)
    assert [(line["status"], line["did"], line["fault"]) for line in books] == [
        (503, "none", "hang"),
        (201, "sent", ""),
    ]
    assert books[0]["ended"] - books[0]["began"] >= 0.4


async def test_a_lie_is_a_deed_that_is_denied(client: SandboxClient) -> None:
    """500 is answered although it was done; asked again under its key it tells the first answer."""
    await client.fault(target="mail", kind="lie", times=2)
    assert [(await client.post("/mail/messages", MAIL, "m1"))[0] for _ in range(3)] == [500, 500, 201]
    books = await client.books("mail")
    assert [(line["status"], line["did"], line["fault"]) for line in books] == [
        (201, "sent", "lie"),
        (201, "repeated", "lie"),
        (201, "repeated", ""),
    ]


async def test_a_limit_tells_when_to_come_again(client: SandboxClient) -> None:
    """429 with `Retry-After`, and nothing is done."""
    await client.fault(target="mail", kind="limit", times=1, retry_after=7)
    headers = {"Idempotency-Key": "m1"}
    async with client.http.post("/mail/messages", json=MAIL, headers=headers) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert (await client.post("/mail/messages", MAIL, "m1"))[0] == 201
    assert await client.did("mail") == [("m1", 429, "none"), ("m1", 201, "sent")]


async def test_a_decline_on_demand(client: SandboxClient) -> None:
    """A card that would pay is declined, and stays so under its key."""
    await client.fault(target="cards", kind="decline", times=1)
    assert (await client.post("/cards/authorisations", HOLD, "k1"))[0] == 402
    assert (await client.post("/cards/authorisations", HOLD, "k1"))[0] == 402
    assert await client.did("cards") == [("k1", 402, "declined"), ("k1", 402, "repeated")]


async def test_faults_are_listed_and_removed(client: SandboxClient) -> None:
    """One by one, by target, and nothing that is not there."""
    one = await client.fault(target="crm", kind="down", seconds=60, times=3)
    await client.fault(target="cards", kind="error")
    listed = (await client.get("/faults"))["faults"]
    assert [(each["id"], each["target"], each["left"]) for each in listed] == [(1, "crm", 3), (2, "cards", None)]
    async with client.http.delete("/faults", params={"target": "cards"}) as answer:
        assert await answer.json() == {"removed": 1}
    async with client.http.delete(f"/faults/{one + 7}") as answer:
        assert answer.status == 404
    async with client.http.delete("/faults", params={"target": "moon"}) as answer:
        assert answer.status == 404
    assert (await client.post("/faults", {"target": "cards"}))[0] == 422
    assert len((await client.get("/faults"))["faults"]) == 1


async def test_a_mistaken_request_is_booked_and_does_nothing(client: SandboxClient) -> None:
    """No key, no JSON, no object, a missing field: each is told and none acts."""
    assert (await client.post("/cards/authorisations", HOLD))[0] == 400
    assert (await client.post("/cards/authorisations", HOLD, "k" * 256))[0] == 400
    assert (await client.post("/cards/authorisations", [1], "k1"))[0] == 400
    async with client.http.post("/cards/authorisations", data=b"\xff{", headers={"Idempotency-Key": "k1"}) as answer:
        assert answer.status == 400
    status, answer_ = await client.post("/cards/authorisations", {"order_id": "A1", "card": "x"}, "k1")
    assert (status, answer_["fields"][0]["field"]) == (422, "total_cents")
    assert (await client.post("/cards/refunds", {"order_id": "A1", "original": "\ud800"}, "r1"))[0] == 422
    assert {line[2] for line in await client.did("cards")} == {"none"}
    assert (await client.post("/cards/authorisations", HOLD, "k1"))[0] == 201


async def test_books_are_read_by_pages(client: SandboxClient) -> None:
    """`next` leads from page to page and ends with null; a page has a bound."""
    for number in range(5):
        await client.post("/mail/messages", MAIL, f"m{number}")
        await client.post("/cards/authorisations", HOLD, f"k{number}")
    seen, after = list[str](), 0
    for _ in itertools.count():
        page = await client.get(f"/books/cards?after={after}&limit=2")
        seen += [line["key"] for line in page["books"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == ["k0", "k1", "k2", "k3", "k4"]
    assert len((await client.get("/mailbox?limit=3"))["mails"]) == 3
    for path, status in (("/books/cards?limit=501", 422), ("/books/cards?after=x", 422), ("/books/moon", 404)):
        async with client.http.get(path) as answer:
            assert answer.status == status

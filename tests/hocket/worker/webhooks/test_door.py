"""The checks of a push, in their order, and the answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from hocket.assembly import Assembly
from hocket.errors import ConfigError
from hocket.store.records import Waiting
from tests.hocket.worker.webhooks.running import (
    OLD,
    Mind,
    config_of,
    door_of,
    form,
    of_shop,
    running,
    signed,
)


async def test_an_unknown_source_is_404_before_anything_else(tmp_path: Path) -> None:
    """RULES 12.1: counted, without the name that it gave itself, and nothing is kept."""
    async with running(tmp_path) as door:
        answer = await door.push("nobody", b"x" * 100_000, {})
        assert answer.status == 404
        assert door.part.worker.webhooks.counts.ends[""]["unknown"][0] == 1
        assert await door.kept() == []


async def test_what_is_not_authentic_is_401_and_sampled(tmp_path: Path) -> None:
    """RULES 12.2: the sample has the allowed headers only, never Authorization or Cookie."""
    async with running(tmp_path) as door:
        headers = signed(form(), secret=b"a stranger's secret of some size")
        answer = await door.push("crm", form(), {**headers, "Authorization": "Bearer x", "Cookie": "a=b"})
        assert answer.status == 401
        await door.part.worker.webhooks.door.finished()
        [row] = await door.kept()
        assert (row.state, row.cause, row.secret) == ("refused", "signature", 0)
        assert {name.lower() for name in json.loads(row.headers)} == {
            "webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent"
        }  # fmt: skip
        assert await door.keys() == []


async def test_samples_are_twenty_an_hour_and_cut(tmp_path: Path) -> None:
    """RULES 12.2: 20 a source and hour, 64 KiB of each; a source beside it has its own."""
    async with running(tmp_path) as door:
        for n in range(30):
            assert (await door.push("crm", b"y" * 100_000, signed(b"x", f"m{n}"))).status == 401
            await door.part.worker.webhooks.door.finished()
        await door.push("shop", b"{}", of_shop(b"other"))
        await door.part.worker.webhooks.door.finished()
        rows = [row for row in await door.kept() if row.source == "crm"]
        assert len(rows) == 20
        assert {(len(row.body), row.size) for row in rows} == {(65_536, 100_000)}
        assert len(await door.kept()) == 21


@pytest.mark.parametrize("seconds", [-400, 400])
async def test_a_timestamp_too_far_away_is_sampled_as_skew(tmp_path: Path, seconds: int) -> None:
    """RULES 12.8: 5 minutes either way; the sample has the seconds."""
    async with running(tmp_path) as door:
        assert (await door.form(form(), at=seconds)).status == 401
        await door.part.worker.webhooks.door.finished()
        [row] = await door.kept()
        assert row.cause == "skew"
        assert row.skew == pytest.approx(-seconds, abs=3)


async def test_the_median_skew_of_good_ones_makes_it_not_ready(tmp_path: Path) -> None:
    """RULES 12.8: over 60 s it is our clock; one sender that is off changes nothing."""
    async with running(tmp_path) as door:
        for n in range(5):
            assert (await door.form(form(), f"a{n}", at=-200)).status == 202
        assert door.part.worker.webhooks.skew.reasons() == []
        for n in range(6):
            await door.form(form(), f"b{n}", at=-200)
        [reason] = door.part.worker.webhooks.skew.reasons()
        assert "ahead of those of its webhooks' senders" in reason
        assert reason in door.part.worker.health()


async def test_all_secrets_are_tried_and_counted_by_position(tmp_path: Path) -> None:
    """RULES 12.7: one sees when the old one may go."""
    async with running(tmp_path) as door:
        assert (await door.form(form(), "1")).status == 202
        assert (await door.form(form(), "2", secret=OLD)).status == 202
        async with door.http.get(f"{door.url}/metrics") as response:
            text = await response.text()
        assert 'hocket_webhook_secrets_total{position="1",service="door",source="crm"} 1.0' in text
        assert 'hocket_webhook_secrets_total{position="2",service="door",source="crm"} 1.0' in text
        assert 'hocket_webhooks_total{end="said",service="door",source="crm"} 2.0' in text


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("", "CRM_SECRETS is empty"),
        ("whsec_c2hvcnQ=", "CRM_SECRETS has 5 bytes"),
        ("whsec_c2hvcnQ=,!!", "CRM_SECRETS, secret 1 has 5 bytes"),
        ("not base64!", "CRM_SECRETS is not base64"),
    ],
)
async def test_a_secret_that_is_none_is_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, sentence: str
) -> None:
    """RULES 12.7: empty or shorter than 16 bytes; the sentence names the variable, never the value."""
    monkeypatch.setenv("CRM_SECRETS", secret)
    assembly = Assembly(config_of(tmp_path))
    with pytest.raises(ConfigError, match=sentence) as refused:
        await assembly.start(door_of(Mind()), 0)
    assert not secret or secret not in str(refused.value)
    await assembly.close()


async def test_a_doubled_header_of_the_signature_is_refused(tmp_path: Path) -> None:
    """RULES 12.1: which of the two was signed is not decided by us; other headers may stand twice."""
    async with running(tmp_path) as door:
        body, headers = form(), signed(form())
        answer = await door.push("crm", body, [*headers.items(), ("webhook-id", "msg_2")])  # type: ignore[arg-type]
        assert answer.status == 401
        twice = [*headers.items(), ("X-Other", "1"), ("X-Other", "2")]
        assert (await door.push("crm", body, twice)).status == 202  # type: ignore[arg-type]


async def test_the_case_of_headers_does_not_matter(tmp_path: Path) -> None:
    """RULES 12.1."""
    async with running(tmp_path) as door:
        headers = {name.upper(): value for name, value in signed(form()).items()}
        assert (await door.push("crm", form(), headers)).status == 202


async def test_bodies_that_are_too_large_are_413(tmp_path: Path) -> None:
    """RULES 12.1: by the length that is announced, and by what comes in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100

    async with running(tmp_path, http_body_bytes=2000) as door:
        assert (await door.push("crm", b"x" * 4000, signed(b"x"))).status == 413
        async with door.http.post(f"{door.url}/webhooks/crm", data=pieces(), headers=signed(b"x")) as response:
            assert response.status == 413


async def test_chunks_are_taken_whole(tmp_path: Path) -> None:
    """RULES 12.1: the signature is over the bytes as they came, in however many pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for each in form():
            yield bytes([each])

    async with running(tmp_path) as door:
        assert (await door.push("crm", pieces(), signed(form()))).status == 202


async def test_too_many_headers_are_431(tmp_path: Path) -> None:
    """RULES 12.1."""
    async with running(tmp_path) as door:
        more = {f"X-{n}": "y" * 4000 for n in range(5)}
        assert (await door.push("crm", form(), {**signed(form()), **more})).status == 431
        async with door.http.post(f"{door.url}/webhooks/crm", headers={"X-Long": "y" * 20_000}) as response:
            assert response.status == 431


async def test_a_slow_client_is_408(tmp_path: Path) -> None:
    """RULES 12.1: the body does not come in time; nothing is kept and the connection is closed."""
    async with running(tmp_path, webhook_body_seconds=0.2) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.part.web.port)
        writer.write(b"POST /webhooks/crm HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"Connection: close" in answer
        writer.close()
        await writer.wait_closed()
        assert await door.kept() == []


async def test_a_compressed_push_is_415(tmp_path: Path) -> None:
    """RULES 12.1: nothing is unpacked before it is known who sent it."""
    async with running(tmp_path) as door:
        assert (await door.push("crm", form(), {**signed(form()), "Content-Encoding": "gzip"})).status == 415


async def test_the_rate_of_an_address_is_bounded_before_the_signature(tmp_path: Path) -> None:
    """RULES 12.1: 429 with `Retry-After`; also for what is not signed."""
    async with running(tmp_path, webhook_address_rate=3) as door:
        answers = [await door.push("crm", b"{}", {}) for _ in range(5)]
        assert [each.status for each in answers] == [401, 401, 401, 429, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 5


async def test_behind_a_proxy_the_rate_is_that_of_the_sender(tmp_path: Path) -> None:
    """RULES 12.1: by what the trusted proxy saw; what stands further left is the sender's word."""
    async with running(tmp_path, webhook_address_rate=1, webhook_proxies=1) as door:

        async def push(forwarded: str) -> int:
            return (await door.push("crm", b"{}", {"X-Forwarded-For": forwarded})).status

        assert [await push("1.1.1.1"), await push("2.2.2.2"), await push("9.9.9.9, 1.1.1.1")] == [401, 401, 429]
        assert [await push("1.1.1.1:4711"), await push("[2001:db8::1]:1"), await push("2001:db8::1")] == [429, 401, 429]


async def test_the_rate_of_a_source_is_bounded_after_the_signature(tmp_path: Path) -> None:
    """RULES 12.1: a stranger cannot use it up."""
    async with running(tmp_path, rate=2) as door:
        assert {(await door.push("crm", b"{}", {})).status for _ in range(5)} == {401}
        statuses = [(await door.form(form(), f"m{n}")).status for n in range(4)]
        assert statuses[:2] == [202, 202]
        assert statuses[-1] == 429
        assert await door.said() == 2


async def test_a_full_outbox_is_503_and_kept_ones_count_to_it(tmp_path: Path) -> None:
    """RULES 12.1, 12.2: nothing was kept; with `Retry-After`."""
    async with running(tmp_path, Mind(broken="broken"), outbox_max_events=3) as door:
        statuses = [(await door.form(form(), f"m{n}")).status for n in range(4)]
        assert statuses == [202, 202, 202, 503]
        assert len(await door.kept()) == 3
        door.part.worker.backlog.set_stored(Waiting(events=3))
        assert (await door.push("crm", b"{}", {})).status == 503


async def test_a_closed_store_is_503(tmp_path: Path) -> None:
    """RULES 12.4: what cannot be committed is not answered 202."""
    async with running(tmp_path) as door:
        await door.part.store.close()
        answer = await door.form(form())
        assert answer.status == 503
        assert answer.headers["Retry-After"]


async def test_a_browser_cannot_push(tmp_path: Path) -> None:
    """RULES 12.1: the host and site are checked as for every route."""
    async with running(tmp_path) as door:
        headers = {**signed(form()), "Host": "evil.example"}
        async with aiohttp.ClientSession() as http, http.post(f"{door.url}/webhooks/crm", headers=headers) as response:
            assert response.status == 421

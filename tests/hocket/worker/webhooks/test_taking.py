"""Custody of webhooks: each delivery id once, answered after the commit."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from hocket.clock import SystemClock
from hocket.errors import StoreError
from hocket.store.records import Ending, Written
from hocket.webhooks import Push
from hocket.webhooks.declared import Webhook
from hocket.worker.webhooks.keys import Taken
from hocket.worker.webhooks.taking import Taking
from tests.hocket.worker.webhooks.running import Mind, form, of_code, of_pay, of_shop, running, signed


async def test_a_push_is_said_once_and_its_double_gets_the_same_answer(tmp_path: Path) -> None:
    """RULES 12.3, 12.4: 202 with the flow; the same id again 202 with the same flow, nothing said."""
    async with running(tmp_path) as door:
        first = await door.form(form())
        again = await door.form(form())
        assert (first.status, again.status) == (202, 202)
        assert first.flow == again.flow
        assert await door.said() == 1
        assert await door.keys() == ["webhook/crm/msg_1"]


async def test_two_at_once_in_this_process_wait_for_one_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 12.4: while the first still commits the others wait for its answer; the mapping runs once."""
    async with running(tmp_path) as door:
        commit, take, all_here, here = door.part.store.commit, Taking.take, asyncio.Event(), 0

        async def held(endings: Sequence[Ending]) -> list[Written]:
            await all_here.wait()
            return await commit(endings)

        async def counted(taking: Taking, hook: Webhook, push: Push, fault: str, secret: int) -> Taken:
            nonlocal here
            here += 1
            if here == 20:
                all_here.set()
            return await take(taking, hook, push, fault, secret)

        monkeypatch.setattr(door.part.store, "commit", held)
        monkeypatch.setattr(Taking, "take", counted)
        answers = await asyncio.gather(*(door.form(form()) for _ in range(20)))
        assert door.mind.calls == 1
        assert {each.status for each in answers} == {202}
        assert len({each.flow for each in answers}) == 1
        assert await door.said() == 1


async def test_nothing_to_say_is_remembered(tmp_path: Path) -> None:
    """RULES 12.2: None commits the key alone."""
    async with running(tmp_path) as door:
        first = await door.form(form(""))
        assert first.status == 202
        assert await door.said() == 0
        assert await door.keys() == ["webhook/crm/msg_1"]
        assert (await door.form(form(""))).flow == first.flow


async def test_another_body_under_the_id_is_a_conflict(tmp_path: Path) -> None:
    """RULES 12.5: the first stands, the second is kept once as `conflict` and answered 202."""
    async with running(tmp_path) as door:
        first = await door.form(form("spring"))
        other = await door.form(form("autumn"))
        same = await door.form(form("autumn"))
        assert other.status == 202
        assert other.flow != first.flow
        assert same.flow == other.flow
        [row] = await door.kept()
        assert (row.state, row.cause, row.delivery) == ("kept", "conflict", "msg_1")
        assert await door.said() == 1


async def test_what_a_sender_computes_anew_is_no_conflict(tmp_path: Path) -> None:
    """RULES 12.5: other bytes, equal events after mapping: the same."""
    async with running(tmp_path) as door:
        first = await door.form(form(sent_at=1))
        second = await door.form(form(sent_at=2))
        assert first.flow == second.flow
        assert await door.kept() == []


async def test_a_captured_body_under_a_new_id_is_a_twin(tmp_path: Path) -> None:
    """RULES 12.6: where the id is not signed an equal body is the first's push, counted as `twin`."""
    async with running(tmp_path) as door:
        body = b'{"id": 7}'
        first = await door.push("shop", body, of_shop(body, "w-1"))
        twin = await door.push("shop", body, of_shop(body, "w-2"))
        assert first.flow == twin.flow
        assert await door.said() == 1
        assert door.part.worker.webhooks.counts.ends["shop"]["twin"][0] == 1


async def test_a_captured_body_of_a_retry_is_a_twin(tmp_path: Path) -> None:
    """RULES 12.6: also where the sender made the body of its retry anew, and that was captured."""
    async with running(tmp_path) as door:
        first = await door.push("shop", b'{"id": 7}', of_shop(b'{"id": 7}', "w-1"))
        body = b'{"id":  7}'
        retry = await door.push("shop", body, of_shop(body, "w-1"))
        twin = await door.push("shop", body, of_shop(body, "w-2"))
        assert first.flow == retry.flow == twin.flow
        assert await door.said() == 1


async def test_twins_at_once_are_said_once(tmp_path: Path) -> None:
    """RULES 12.6: id and body are taken together or not at all, also within one group commit."""
    async with running(tmp_path) as door:
        body = b'{"id": 7}'
        answers = await asyncio.gather(*(door.push("shop", body, of_shop(body, f"w-{n}")) for n in range(30)))
        assert len({each.flow for each in answers}) == 1
        assert await door.said() == 1
        assert len(await door.keys()) == 2


async def test_a_sender_with_real_twins_says_so(tmp_path: Path) -> None:
    """RULES 12.6: `same_body=False` on its signature."""
    async with running(tmp_path, same_body=False) as door:
        body = b'{"id": 7}'
        flows = {(await door.push("shop", body, of_shop(body, f"w-{n}"))).flow for n in range(3)}
        assert len(flows) == 3
        assert await door.said() == 3


async def test_what_the_mapping_cannot_map_is_kept_and_answered_202(tmp_path: Path) -> None:
    """RULES 12.2: unparsable, contract and mapping; each once, without the sensitive value in the error."""
    async with running(tmp_path, Mind(broken="cannot map")) as door:
        bodies = {"a": b"{not json", "b": b'{"email": "x"}', "c": form(), "d": b"\xff\xfe"}
        for id, body in bodies.items():
            first, again = await door.form(body, id), await door.form(body, id)
            assert (first.status, again.status) == (202, 202)
            assert first.flow == again.flow
        rows = {row.delivery: row for row in await door.kept()}
        causes = {id: row.cause for id, row in rows.items()}
        assert causes == {"a": "unparsable", "b": "contract", "c": "mapping", "d": "unparsable"}
        assert rows["c"].error == "RuntimeError: cannot map *****"
        assert bytes(rows["d"].body) == b"\xff\xfe"
        assert await door.keys() == []


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), BaseException("odd")]
)
async def test_a_mapping_that_would_end_the_process_is_kept(tmp_path: Path, error: BaseException) -> None:
    """RULES 12.2: whatever the team's code raises; else the sender's repetitions would end it again and again."""
    raised = Mind(broken=error)

    def key(push: Push) -> str:
        raise error

    async with running(tmp_path, raised) as door, running(tmp_path / "keyed", key=key) as keyed:
        assert [(await each.form(form())).status for each in (door, keyed)] == [202, 202]
        assert [(each.cause, type(error).__name__ in each.error) for each in await door.kept()] == [("mapping", True)]
        assert [(each.cause, type(error).__name__ in each.error) for each in await keyed.kept()] == [("mapping", True)]
        raised.broken = ""
        assert (await door.form(form(), "msg_2")).status == 202
        assert await door.said() == 1


async def test_a_validator_that_raises_anything_is_kept(tmp_path: Path) -> None:
    """RULES 12.2: pydantic lets through what is no ValueError; the push is kept with the name of the error."""
    async with running(tmp_path) as door:
        assert (await door.form(form("lost"))).status == 202
        [row] = await door.kept()
        assert (row.cause, row.error) == ("contract", "the model raised LookupError: there is no campaign of that name")


async def test_a_client_that_hangs_up_cancels_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 12.4: the commit runs to its end."""
    async with running(tmp_path) as door:
        begun, go_on = asyncio.Event(), asyncio.Event()
        commit = door.part.store.commit

        async def slow(endings: Sequence[Ending]) -> list[Written]:
            begun.set()
            await go_on.wait()
            return await commit(endings)

        monkeypatch.setattr(door.part.store, "commit", slow)
        _, writer = await asyncio.open_connection("127.0.0.1", door.part.web.port)
        head = "".join(f"{name}: {value}\r\n" for name, value in signed(form()).items())
        about = f"POST /webhooks/crm HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(form())}\r\n{head}\r\n"
        writer.write(about.encode() + form())
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        go_on.set()
        await door.part.worker.webhooks.taking.finished()
        assert await door.said() == 1


async def test_whoever_waits_for_the_commit_may_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 12.4: as a server does that cancels handlers; the commit runs to its end."""
    async with running(tmp_path) as door:
        begun, go_on, commit = asyncio.Event(), asyncio.Event(), door.part.store.commit

        async def slow(endings: Sequence[Ending]) -> list[Written]:
            begun.set()
            await go_on.wait()
            return await commit(endings)

        monkeypatch.setattr(door.part.store, "commit", slow)
        webhooks = door.part.worker.webhooks
        push = Push("crm", "msg_1", SystemClock().now(), form(), {})
        waiting = asyncio.create_task(webhooks.taking.take(webhooks.hooks["crm"], push, "", 1))
        await begun.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        go_on.set()
        await webhooks.taking.finished()
        assert await door.said() == 1


@pytest.mark.parametrize("written", [True, False])
async def test_an_unknown_outcome_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    """RULES 12.4: the answer of the commit was lost: 202 where the key is there, else 503; a repeat says it once."""
    async with running(tmp_path) as door:
        commit = door.part.store.commit

        async def lost(endings: Sequence[Ending]) -> list[Written]:
            if written:
                await commit(endings)
            raise StoreError("the answer was lost")

        with monkeypatch.context() as patched:
            patched.setattr(door.part.store, "commit", lost)
            first = await door.form(form())
        assert first.status == (202 if written else 503)
        assert first.headers.get("Retry-After") == (None if written else "1")
        assert (await door.form(form())).status == 202
        assert await door.said() == 1


async def test_the_delivery_id_is_the_senders_or_a_hash(tmp_path: Path) -> None:
    """RULES 12.3: topic and id of Shopify, `id` in the body of Stripe, GitHub's delivery; else the body's SHA-256."""
    async with running(tmp_path) as door:
        await door.push("shop", b'{"id": 1}', of_shop(b'{"id": 1}', "w-9", "orders/create"))
        body = b'{"id": "evt_1"}'
        await door.push("pay", body, of_pay(body))
        await door.push("code", b"{}", of_code(b"{}", "72d3162e"))
        await door.push("code", b"[]", of_code(b"[]", ""))
        await door.push("pay", b"{}", of_pay(b"{}"))
        found = [key for key in await door.keys() if key.startswith("webhook/")]
        nothing = hashlib.sha256(b"{}").hexdigest()
        assert found == sorted(
            ["webhook/shop/orders/create/w-9", "webhook/pay/evt_1", "webhook/code/72d3162e",
             f"webhook/pay/sha256:{nothing}"]
        )  # fmt: skip
        [row] = await door.kept()  # a list where an object was declared
        assert (row.cause, row.delivery) == ("contract", f"sha256:{hashlib.sha256(b'[]').hexdigest()}")


async def test_an_own_key_replaces_the_senders(tmp_path: Path) -> None:
    """RULES 12.3: `key=`; where it fails the push is kept under the sender's id, and 202 all the same."""
    async with running(tmp_path, key=lambda push: push.headers["webhook-id"].partition("-")[0]) as door:
        flows = {(await door.form(form(), id)).flow for id in ("a-1", "a-2")}
        assert len(flows) == 1
        assert await door.keys() == ["webhook/crm/a"]
        assert (await door.form(form(), "-3")).status == 202
        [row] = await door.kept()
        assert (row.delivery, row.cause, row.error) == ("-3", "mapping", "key= gave str, not a text")


async def test_what_comes_late_and_in_another_order_is_said_all_the_same(tmp_path: Path) -> None:
    """RULES 12.10: the sender's moment is a field like any; the subscriber decides."""
    async with running(tmp_path) as door:
        for n in (3, 1, 2):
            await door.form(form(f"spring-{n}", updated_at=f"2020-01-0{n}"), f"msg_{n}")
        assert await door.said() == 3


async def test_an_event_that_cannot_be_said_is_kept(tmp_path: Path) -> None:
    """RULES 12.2: one that is too big is the mapping's fault, as is a value that its annotation does not name."""
    async with running(tmp_path, max_event_bytes=2_000) as door:
        assert (await door.form(form("x" * 200), "msg_1")).status == 202
        assert (await door.form(form("y" * 3_000), "msg_2")).status == 202
        object.__setattr__(door.part.worker.webhooks.hooks["crm"], "call", lambda body, push: "an event")
        assert (await door.form(form(), "msg_3")).status == 202
        rows = {row.delivery: (row.cause, row.error) for row in await door.kept()}
        assert set(rows) == {"msg_2", "msg_3"}
        assert {cause for cause, _ in rows.values()} == {"mapping"}
        assert "returned str" in rows["msg_3"][1]

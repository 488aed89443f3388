"""Kept webhooks are tried again under the same key, by the service that runs."""

import asyncio
from pathlib import Path

import pytest

from hocket.store.schema import INBOX
from hocket.worker.http.operator import CommandRefused
from hocket.worker.webhooks.command import WebhooksCommand
from tests.hocket.worker.webhooks.running import Door, Mind, form, of_shop, running, signed


async def retried(door: Door, id: str, **more: object) -> str:
    """Ask for it as the command does, wait until it was tried; how its row stands."""
    command = WebhooksCommand(door.part.store, "door", door.part.worker.webhooks.retrying.look)
    await command({"do": "retry", "id": id, **more})
    while True:
        found = (await command({"do": "show", "id": id}))["webhook"]
        if not found["asked"]:
            return str(found["state"])
        await asyncio.sleep(0.01)


async def test_a_kept_one_is_said_after_the_mapping_was_mended(tmp_path: Path) -> None:
    """RULES 12.9: under the same key and in the flow that was answered; the row is settled with it."""
    mind = Mind(broken="not now")
    async with running(tmp_path, mind) as door:
        first = await door.form(form())
        [row] = await door.kept()
        assert await retried(door, row.id) == "kept"
        mind.broken = ""
        assert await retried(door, row.id) == "said"
        assert await door.said() == 1
        [known] = await door.rows(INBOX)
        assert known.correlation_id == first.flow
        assert (await door.form(form())).flow == first.flow
        assert await door.said() == 1


async def test_a_retry_gives_the_same_derived_keys(tmp_path: Path) -> None:
    """RULES 12.3: the event's key is what it would have been at the first time."""
    mind = Mind()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    async def key(folder: Path, broken: str) -> str:
        mind.broken = broken
        async with running(folder, mind) as door:
            await door.form(form())
            if broken:
                [row] = await door.kept()
                mind.broken = ""
                assert await retried(door, row.id) == "said"
            [row] = await door.rows(INBOX)
            return str(row.event_id)

    assert await key(tmp_path / "a", "") == await key(tmp_path / "b", "broken")


async def test_the_senders_own_retry_was_first(tmp_path: Path) -> None:
    """RULES 12.9: the kept row is settled as `seen`, with the flow of what was said."""
    mind = Mind(broken="not now")
    async with running(tmp_path, mind) as door:
        await door.form(form())
        [row] = await door.kept()
        mind.broken = ""
        said = await door.form(form())
        assert await retried(door, row.id) == "seen"
        assert await door.said() == 1
        [row] = await door.kept()
        assert row.correlation_id == said.flow


async def test_two_people_at_once_say_it_once(tmp_path: Path) -> None:
    """RULES 12.9: the inbox row decides."""
    mind = Mind(broken="not now")
    async with running(tmp_path, mind) as door:
        await door.form(form())
        [row] = await door.kept()
        mind.broken = ""
        retrying = door.part.worker.webhooks.retrying
        await WebhooksCommand(door.part.store, "door")({"do": "retry", "id": row.id})
        await asyncio.gather(*(retrying.retry(row.id) for _ in range(5)))
        assert await door.said() == 1
        [row] = await door.kept()
        assert row.state == "said"


async def test_a_conflict_ends_as_seen(tmp_path: Path) -> None:
    """RULES 12.5, 12.9: its key stands for the first, which nothing replaces."""
    async with running(tmp_path) as door:
        await door.form(form("spring"))
        await door.form(form("autumn"))
        [row] = await door.kept()
        assert await retried(door, row.id) == "seen"
        assert await door.said() == 1


async def test_a_kept_twin_ends_as_seen(tmp_path: Path) -> None:
    """RULES 12.6, 12.9: another id, the same unsigned body: it was said once."""
    async with running(tmp_path) as door:
        body = b'{"name": "no id"}'
        for id in ("w-1", "w-2"):
            await door.push("shop", body, of_shop(body, id))
        first, second = await door.kept()
        hook = door.part.worker.webhooks.hooks["shop"]
        object.__setattr__(hook, "call", lambda body, push: None)
        assert await retried(door, first.id) == "nothing"
        assert await retried(door, second.id) == "seen"


async def test_a_retry_verifies_by_todays_secrets(tmp_path: Path) -> None:
    """RULES 12.9: a refused sample is taken once the secret is right, and not before."""
    async with running(tmp_path) as door:
        headers = signed(form(), secret=b"the new secret of the sender ...")
        assert (await door.push("crm", form(), headers)).status == 401
        await door.part.worker.webhooks.door.finished()
        [row] = await door.kept()
        assert await retried(door, row.id) == "refused"
        secret = door.part.worker.webhooks.secrets("crm")[0]
        object.__setattr__(secret, "raw", b"the new secret of the sender ...")
        assert await retried(door, row.id) == "said"
        assert await door.keys() == ["webhook/crm/msg_1"]


async def test_skew_is_judged_at_the_time_of_receipt_and_waived_by_a_person(tmp_path: Path) -> None:
    """RULES 12.9: only by `--accept-skew`."""
    async with running(tmp_path) as door:
        assert (await door.form(form(), at=-1000)).status == 401
        await door.part.worker.webhooks.door.finished()
        [row] = await door.kept()
        assert await retried(door, row.id) == "refused"
        assert await retried(door, row.id, accept_skew=True) == "said"


async def test_a_cut_sample_cannot_be_retried(tmp_path: Path) -> None:
    """RULES 12.2, 12.9: of a large one only the beginning is kept; the row says so."""
    async with running(tmp_path) as door:
        await door.push("crm", b"y" * 100_000, signed(b"x"))
        await door.part.worker.webhooks.door.finished()
        [row] = await door.kept()
        assert await retried(door, row.id) == "refused"
        [row] = await door.kept()
        assert row.error == "only the first 65536 of its 100000 bytes were sampled"


async def test_what_is_settled_is_refused(tmp_path: Path) -> None:
    """RULES 12.9: a discarded one is not tried, and nothing is discarded twice."""
    async with running(tmp_path, Mind(broken="x")) as door:
        await door.form(form())
        [row] = await door.kept()
        command = WebhooksCommand(door.part.store, "door")
        await command({"do": "discard", "id": row.id[:20], "by": "ada", "reason": "old"})
        for do in ("retry", "discard"):
            with pytest.raises(CommandRefused, match="is settled"):
                await command({"do": do, "id": row.id})
        assert (await command({"do": "list", "limit": 10}))["webhooks"] == []
        assert {fact["state"] for fact in await door.told() if fact.get("id") == row.id} == {"kept", "discarded"}


async def test_what_is_shown_is_masked(tmp_path: Path) -> None:
    """RULES 12.2: sensitive fields as of events; what is no JSON is not shown."""
    async with running(tmp_path, Mind(broken="x")) as door:
        await door.form(form())
        await door.form(b"{ada@example.org", "msg_2")
        command = WebhooksCommand(door.part.store, "door")
        rows = {row.delivery: row.id for row in await door.kept()}
        body = (await command({"do": "show", "id": rows["msg_1"]}))["webhook"]["body"]
        assert body == {"email": "••••• masked", "campaign": "spring"}
        assert "ada" not in str(await command({"do": "show", "id": rows["msg_2"]}))

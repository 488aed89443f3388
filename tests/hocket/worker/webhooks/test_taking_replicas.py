"""Webhooks with two replicas on one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket.store.schema import INBOX
from hocket.webhooks.signature import Push, headers_of
from hocket.worker.webhooks.ends import End
from tests.hocket.worker.webhooks.running import Door, Mind, form, of_shop, running


@pytest.fixture
async def two(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[tuple[Door, Door]]:
    """The same service twice."""
    url = postgres.add_database(f"webhooks_{uuid4().hex}")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(tmp_path, Mind(), url))
        yield first, await stack.enter_async_context(running(tmp_path, first.mind, url))


async def test_one_delivery_at_both_at_once_is_said_once(two: tuple[Door, Door]) -> None:
    """RULES 12.4: the unique key makes the second wait; both answer with the same flow."""
    for n in range(30):
        answers = await asyncio.gather(*(door.form(form(), f"msg_{n}") for door in (*two, *two)))
        assert {each.status for each in answers} == {202}
        assert len({each.flow for each in answers}) == 1
    assert await two[0].said() == 30


async def test_twins_at_both_at_once_are_said_once(two: tuple[Door, Door]) -> None:
    """RULES 12.6: id and body are two keys of one transaction."""
    for n in range(20):
        body = f'{{"id": {n}}}'.encode()
        answers = await asyncio.gather(
            *(door.push("shop", body, of_shop(body, f"{n}-{at}")) for at, door in enumerate((*two, *two)))
        )
        assert {each.status for each in answers} == {202}
        assert len({each.flow for each in answers}) == 1
    assert await two[0].said() == 20


async def test_what_cannot_be_mapped_is_kept_once(two: tuple[Door, Door]) -> None:
    """RULES 12.2: by whichever replica is first; both answer with its flow."""
    two[0].mind.broken = "x"
    for n in range(10):
        answers = await asyncio.gather(*(door.form(form(), f"msg_{n}") for door in (*two, *two)))
        assert {each.status for each in answers} == {202}
        assert len({each.flow for each in answers}) == 1
    assert len(await two[0].kept()) == 10


async def test_a_first_that_does_not_end_is_waited_for(two: tuple[Door, Door]) -> None:
    """RULES 12.4: at most 2 s, then 503 with `Retry-After: 1`; nothing was kept."""
    await two[1].form(form())
    async with two[0].part.store.transaction() as tx:
        await (await tx.db()).execute(INBOX.delete())  # not committed: the row is locked
        answer = await two[1].form(form())
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"


async def test_samples_of_both_are_twenty_together(two: tuple[Door, Door]) -> None:
    """RULES 12.2: 20 a source and hour, however many replicas count them at once."""
    assert (await two[0].push("shop", b"{}", of_shop(b"other"))).status == 401
    await two[0].part.worker.webhooks.door.finished()

    async def sample(door: Door, n: int) -> None:
        hooks = door.part.worker.webhooks
        push = Push("crm", "", datetime.now(UTC), b"%d" % n, headers_of({}))
        await hooks.custody.sample(hooks.hooks["crm"], push, End.SIGNATURE, "")

    await asyncio.gather(*(sample(door, n) for n in range(20) for door in two))
    assert len([row for row in await two[0].kept() if row.source == "crm"]) == 20


async def test_two_replicas_retry_one_row_once(two: tuple[Door, Door]) -> None:
    """RULES 12.9: whichever is first; the other finds it settled."""
    two[0].mind.broken = "x"
    for n in range(10):
        await two[0].form(form(), f"msg_{n}")
    two[0].mind.broken = ""
    rows = await two[0].kept()
    command = two[0].part.worker.commands["webhooks"]
    await command({"do": "retry", "source": "crm"})
    await asyncio.gather(*(door.part.worker.webhooks.retrying.retry(row.id) for row in rows for door in two))
    assert await two[0].said() == 10
    assert {row.state for row in await two[0].kept()} == {"said"}

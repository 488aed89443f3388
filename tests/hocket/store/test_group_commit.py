"""Commits that callers share."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from hocket.clock import SystemClock
from hocket.errors import StoreError
from hocket.saga.ledger import LedgerRow, LedgerState
from hocket.store.group_commit import CallerLedCommit, GroupCommit
from hocket.store.port import Store
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, Written
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract.fixtures import ending, key_of, ledger_row, run_of

#: Endings of one commit in these tests.
GROUP = 5


class _Slow:
    """A store whose commits wait until they are let go; it keeps how many endings each had."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.gate = asyncio.Event()
        self.wrong: Exception | None = None
        self.bad: Ending | None = None

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        self.groups.append(len(endings))
        await self.gate.wait()
        if self.wrong is not None and (self.bad is None or self.bad in endings):
            raise self.wrong
        return [Written(True) for _ in endings]


def _commits(store: _Slow) -> CallerLedCommit:
    return CallerLedCommit(cast("Store", store), GROUP)


def _many(commits: CallerLedCommit, count: int) -> "list[asyncio.Task[Written]]":
    return [asyncio.create_task(commits.commit(Ending(receipt=b"%d" % n))) for n in range(count)]


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_asks_meanwhile_goes_into_the_next_commit() -> None:
    """The first caller commits alone; all who ask while it does share the next ones, at most a group each."""
    store = _Slow()
    tasks = _many(_commits(store), GROUP + 3)
    await _turns()
    assert store.groups == [1]
    store.gate.set()
    assert all(each.won for each in await asyncio.gather(*tasks))
    assert store.groups == [1, GROUP, 2]


async def test_callers_of_one_key_share_a_commit() -> None:
    """The store lets the first of them win; nobody waits for a commit of its own."""
    store = _Slow()
    commits = _commits(store)
    row = InboxRow(b"k", "bells", "e", InboxState.HANDLED, 1)
    tasks = [asyncio.create_task(commits.commit(Ending(inbox=InboxWrite(row, 1)))) for _ in range(GROUP + 1)]
    await _turns()
    store.gate.set()
    await asyncio.gather(*tasks)
    assert store.groups == [1, GROUP]


async def test_the_next_commit_begins_before_the_answered_go_on() -> None:
    """What callers do with their answers runs beside the next commit, not before it."""
    store = _Slow()
    commits = _commits(store)
    begun: list[int] = []

    async def ask() -> None:
        await commits.commit(Ending())
        begun.append(len(store.groups))

    tasks = [asyncio.create_task(ask()) for _ in range(GROUP + 3)]
    await _turns()
    store.gate.set()
    await asyncio.gather(*tasks)
    answered_together = begun[2:]  # behind the two who led the first commits
    assert set(answered_together) == {3}


async def test_one_bad_neighbour_does_not_take_the_others_along() -> None:
    """An ending that the store refuses fails its own caller; the others are written one by one."""
    store = _Slow()
    store.wrong, store.bad = ValueError("no such value"), Ending(receipt=b"2")
    tasks = _many(_commits(store), 4)
    await _turns()
    store.gate.set()
    found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [Written, Written, ValueError, Written]


async def test_an_unknown_outcome_is_told_to_all_who_shared_it() -> None:
    """RULES 3.2: where the store fails nobody knows what was written; each caller hears it."""
    store = _Slow()
    store.wrong = StoreError("gone")
    tasks = _many(_commits(store), 3)
    await _turns()
    store.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [StoreError] * 3


async def test_a_cut_caller_leaves_no_one_waiting() -> None:
    """Whoever commits for others and is cancelled tells them; the next who asks is served."""
    store = _Slow()
    commits = _commits(store)
    tasks = _many(commits, 3)
    await _turns()
    tasks[0].cancel()
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    store.gate.set()
    assert (await asyncio.wait_for(tasks[2], 1)).won
    assert (await asyncio.wait_for(commits.commit(Ending()), 1)).won


async def test_a_caller_that_is_cut_as_it_is_asked_to_lead_hands_that_on() -> None:
    """The commit before has just ended, the next leader is cancelled in the same turn: the one behind it leads."""
    store = _Slow()
    tasks = _many(_commits(store), 3)
    await _turns()
    store.gate.set()
    tasks[0].add_done_callback(lambda _: tasks[1].cancel())
    await tasks[0]
    assert (await asyncio.wait_for(tasks[2], 1)).won


class _Steps(GroupCommit[str]):
    """Ends step runs, each as its row says what it is; `known` is what was read before."""

    def __init__(self, store: Store, known: Mapping[str, LedgerRow]) -> None:
        super().__init__(store, GROUP)
        self.known = known
        self.answers: dict[str, Written] = {}
        self.decided: list[tuple[str, bytes]] = []

    def _keys(self, entry: str) -> tuple[bytes, str]:
        return key_of(entry), run_of(entry)

    def _ending(self, entry: str, rows: Mapping[str, LedgerRow] | None) -> tuple[Ending, bool]:
        row = (self.known if rows is None else rows)[run_of(entry)]
        self.decided.append((entry, row.failure))
        return ending(entry)._replace(ledger=(row._replace(state=LedgerState.DONE),)), True

    def _answer(self, group: Sequence[str], written: Sequence[Written]) -> None:
        self.answers.update(zip(group, written, strict=True))

    def _blame(self, entry: str, error: Exception) -> bool:
        raise error

    def _unanswered(self, group: Sequence[str], error: StoreError) -> bool:
        raise error


async def test_who_is_not_as_it_was_read_is_decided_again_under_its_lock() -> None:
    """RULES 3.1: it alone; its neighbours are written by what was read, in one commit."""
    store = SqliteStore(":memory:", clock=SystemClock(), boot="boot-1")
    await store.open()
    rows = [ledger_row(name)._replace(failure=b"", keeps=None) for name in "abc"]
    await store.admit([], rows, [])
    known = (await store.admit([], [], [row.run for row in rows])).ledger
    await store.commit([Ending(ledger=(known[run_of("b")]._replace(failure=b"marked"),))])
    steps = _Steps(store, known)
    await steps._commit_group(["a", "b", "c"])
    assert steps.decided == [("a", b""), ("b", b""), ("c", b""), ("b", b"marked")]
    assert {entry: one.won for entry, one in steps.answers.items()} == {"a": True, "b": True, "c": True}
    after = (await store.admit([], [], list(known))).ledger
    assert {row.failure for row in after.values() if row.state is LedgerState.DONE} == {b"", b"marked"}
    assert len(after) == 3
    await store.close()

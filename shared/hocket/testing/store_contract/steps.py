"""The store contract on step runs: versions, admission, what is kept for an undo."""

import asyncio

from sqlalchemy import text

from hocket.saga.ledger import Kept, LedgerRow, LedgerState
from hocket.store.port import CrashableStore
from hocket.store.records import Ending, InboxState
from hocket.testing.store_contract.fixtures import (
    KEPT,
    StoreHouse,
    StoreSuite,
    ending,
    key_of,
    ledger_row,
    outbox_row,
    routing,
    run_of,
    undated,
    written,
)


def step(name: str, row: LedgerRow) -> Ending:
    """The end of a step: its inbox row, something said, a receipt and the ledger row."""
    return ending(name, outbox=[outbox_row(name)])._replace(ledger=(row,), receipt=b"{}")


async def rows_of(store: CrashableStore, *names: str) -> dict[str, LedgerRow]:
    """The rows of these runs, as they are committed."""
    found = await store.admit([], [], [run_of(name) for name in names])
    return dict(found.ledger)


def fresh(name: str) -> LedgerRow:
    """What an admission begins."""
    return ledger_row(name)._replace(failure=b"", generation=0, keeps=None)


class StepContract(StoreSuite):
    """RULES 3.1, 3.3, 5.2 and 5.4: what the ledger promises."""

    async def test_ledger_round_trip(self, house: StoreHouse) -> None:
        """RULES 5.4: a row comes back whole in its next version, and what it keeps apart, until it keeps another."""
        store = await house.start()
        row = ledger_row("run", LedgerState.DONE)
        await store.commit([Ending(ledger=(row,))])
        assert undated(await rows_of(store, "run", "none")) == {row.run: written(row)}
        assert await store.kept([row.run, run_of("none")]) == {row.run: KEPT}
        [there] = (await rows_of(store, "run")).values()
        later = there._replace(state=LedgerState.UNDOING, failure=b"why")
        await store.commit([Ending(ledger=(later,))])
        assert await store.kept([row.run]) == {row.run: KEPT}
        async with store.transaction() as tx:
            [there] = (await tx.ledger([row.run])).values()
            assert there == later._replace(version=2, updated=there.updated)
            [one] = await tx.write([Ending(ledger=(there._replace(keeps=Kept(b"other")),))])
            assert one.won
        assert await store.kept([row.run]) == {row.run: Kept(b"other")}
        async with store.read() as db:
            assert (await db.execute(text("SELECT count(*) FROM hocket_kept"))).scalar_one() == 1

    async def test_who_decided_from_an_older_row_writes_nothing(self, house: StoreHouse) -> None:
        """RULES 3.1: its inbox row, what it said, its receipt are not written either; its neighbours' are."""
        store = await house.start()
        await store.commit([Ending(ledger=(fresh(name),)) for name in ("a", "b")])
        rows = await rows_of(store, "a", "b")
        await store.commit([Ending(ledger=(rows[run_of("a")]._replace(failure=b"marked"),))])
        ends = [step(name, rows[run_of(name)]._replace(state=LedgerState.DONE, keeps=KEPT)) for name in ("a", "b")]
        answers = await store.commit([ends[0], ends[1], ending("c"), step("d", fresh("d"))])
        assert [(one.won, one.again) for one in answers] == [(False, True), (True, False), (True, False), (True, False)]
        assert set(await store.inbox([key_of(name) for name in "abcd"])) == {key_of(name) for name in "bcd"}
        assert routing([row for row in await store.due(0, 10) if row.subject]) == ["b", "d"]
        after = await rows_of(store, "a", "b", "d")
        assert {run: (row.state, row.version) for run, row in after.items()} == {
            run_of("a"): (LedgerState.BEGUN, 2),
            run_of("b"): (LedgerState.DONE, 2),
            run_of("d"): (LedgerState.BEGUN, 1),
        }
        assert set(await store.kept([run_of("a"), run_of("b")])) == {run_of("b")}

    async def test_a_row_that_was_not_there_is_decided_once(self, house: StoreHouse) -> None:
        """RULES 3.1, 5.3: a tombstone loses to whatever was written first, and nothing of its failure is kept."""
        store = await house.start()
        await store.commit([Ending(ledger=(fresh("run"),))])
        tombstone = fresh("run")._replace(state=LedgerState.TOMBSTONE, failure=b"why")
        [one] = await store.commit([step("f", tombstone)])
        assert (one.won, one.again) == (False, True)
        assert not await store.inbox([key_of("f")])
        assert (await rows_of(store, "run"))[run_of("run")].state is LedgerState.BEGUN

    async def test_who_loses_its_inbox_row_leaves_no_run(self, house: StoreHouse) -> None:
        """RULES 3.1: neither one that was there nor a new one; it is not decided again."""
        store = await house.start()
        await store.commit([ending("a"), ending("b"), Ending(ledger=(fresh("there"),))])
        [there] = (await rows_of(store, "there")).values()
        answers = await store.commit([step("a", fresh("new")), step("b", there._replace(state=LedgerState.DONE))])
        assert [(one.won, one.again) for one in answers] == [(False, False)] * 2
        assert await rows_of(store, "new", "there") == {there.run: there}

    async def test_of_one_run_in_one_call_the_first_is_written(self, house: StoreHouse) -> None:
        """RULES 3.1: the others are to be decided again."""
        store = await house.start()
        answers = await store.commit([step("a", fresh("run")), step("b", fresh("run")), ending("c")])
        assert [(one.won, one.again) for one in answers] == [(True, False), (False, True), (True, False)]
        assert not await store.inbox([key_of("b")])

    async def test_an_admission_begins_what_is_new(self, house: StoreHouse) -> None:
        """RULES 5.2: a run begins where neither inbox nor ledger know it; the answer tells what is known, and lasts."""
        store = await house.start()
        await store.commit([ending("handled"), ending("retried", state=InboxState.RETRY)])
        await store.commit([Ending(ledger=(ledger_row("begun"),)), Ending(ledger=(ledger_row("other"),))])
        names = ("new", "handled", "retried", "begun")
        keys = [key_of(name) for name in names]
        found = await store.admit(keys, [fresh(name) for name in names], [run_of("other"), run_of("none")])
        assert found.begun == {run_of("new")}
        assert set(found.inbox) == {key_of("handled"), key_of("retried")}
        assert undated(found.ledger) == {run_of(name): written(ledger_row(name)) for name in ("begun", "other")}
        await house.crash(store)
        again = await house.start("boot-2")
        row = fresh("new")._replace(owner="", boot="")
        assert undated(await rows_of(again, *names)) == {
            run_of("new"): written(row),
            run_of("begun"): written(ledger_row("begun")._replace(owner="", boot="")),
        }

    async def test_one_run_begins_once(self, house: StoreHouse) -> None:
        """RULES 5.2: of copies that are admitted at once one begins, and each other one is told by whom."""
        store = await house.start()
        mine = [fresh("run")._replace(owner=f"token-{n}") for n in range(4)]
        found = await asyncio.gather(*(store.admit([key_of("run")], [row], []) for row in mine))
        assert sum(len(each.begun) for each in found) == 1
        [owner] = [row.owner for row, each in zip(mine, found, strict=True) if each.begun]
        assert [row.owner for each in found for row in each.ledger.values()] == [owner] * 3

    async def test_a_claim_needs_its_step(self, house: StoreHouse) -> None:
        """RULES 3.3: the inbox row of a handler's own transaction is written only where the run has its step."""
        store = await house.start()
        row = fresh("run")
        await store.commit([Ending(ledger=(row,))])
        for run, owner, won in (
            (row.run, "another", False),
            (run_of("none"), row.owner, False),
            (row.run, row.owner, True),
        ):
            claim = ending("a").inbox
            assert claim is not None
            async with store.transaction() as tx:
                [one] = await tx.write([Ending(inbox=claim._replace(run=run, owner=owner))])
                assert (one.won, one.again) == (won, False)
            assert bool(await store.inbox([key_of("a")])) == won

    async def test_a_transaction_may_decide_again(self, house: StoreHouse) -> None:
        """RULES 3.1, 3.3: at its end it compares the version; whose row was marked meanwhile decides by what it is."""
        store = await house.start()
        await store.commit([Ending(ledger=(fresh("run"),))])
        [there] = (await rows_of(store, "run")).values()
        await store.commit([Ending(ledger=(there._replace(failure=b"marked"),))])
        async with store.transaction() as tx:
            [one] = await tx.write([step("a", there._replace(state=LedgerState.DONE))])
            assert (one.won, one.again) == (False, True)
            [marked] = (await tx.ledger([there.run])).values()
            [one] = await tx.write([step("a", marked._replace(state=LedgerState.UNDOING))])
            assert one.won
        [after] = (await rows_of(store, "run")).values()
        assert (after.state, after.failure, after.version) == (LedgerState.UNDOING, b"marked", 3)

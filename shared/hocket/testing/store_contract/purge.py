"""The store contract on purging: deletes only what is final and old, in bounded steps."""

from sqlalchemy import text

from hocket.envelope.keys import inbox_key, run_key
from hocket.saga.ledger import LedgerState
from hocket.store.port import CrashableStore
from hocket.store.purge import FURTHEST_SECONDS
from hocket.store.records import Before, Ending, InboxState, Purged
from hocket.store.renaming import AcrossStep
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, ending, key_of, ledger_row, near, run_of

#: Seconds between what is old and what is new.
LATER = 2000.0
_UUID7 = "019b76da-a800-7000-8000-00000000000{}"  # of the moment of `START`


def _all_before(moment: float) -> Before:
    """The same moment for every table."""
    return Before(moment, moment, moment)


async def purge(store: CrashableStore, before: Before, limit: int = 100) -> list[Purged]:
    """A whole walk."""
    steps = [await store.purge(before, limit)]
    while not steps[-1].done:
        steps.append(await store.purge(before, limit))
    return steps


async def ago(store: CrashableStore, seconds: float) -> float:
    """The moment so many seconds ago, by the store's clock."""
    return (await store.clock.time()).now - seconds


async def kept_rows(store: CrashableStore) -> int:
    """How many rows of what is kept there are."""
    async with store.read() as db:
        return int((await db.execute(text("SELECT count(*) FROM hocket_kept"))).scalar_one())


def remembered(name: str, state: InboxState, key: str = "", time: float = 0.0) -> Ending:
    """An inbox row of an event that has this `time`."""
    made = ending(name, state=state)
    assert made.inbox is not None
    row = made.inbox.row._replace(updated=time)
    if key:
        row = row._replace(key=inbox_key("shop.pack", "/shop", "a.b", key))
    return made._replace(inbox=made.inbox._replace(row=row))


class PurgeContract(StoreSuite):
    """RULES 2.7: retention."""

    async def test_only_what_is_final_and_old_is_purged(self, house: StoreHouse) -> None:
        """RULES 2.7: never what still waits for a retry; what died has a retention of its own."""
        store = await house.start()
        for at, state in enumerate(InboxState):
            await store.commit([remembered(f"old {state}", state)])
            await store.commit([remembered("timed", state, _UUID7.format(at))])
        await house.step(LATER)
        await store.commit([remembered(f"new {state}", state) for state in InboxState])
        keys = {
            name: ending(name).inbox.row.key  # type: ignore[union-attr]  # it has one
            for name in [f"{age} {state}" for age in ("old", "new") for state in InboxState]
        }
        old, older = await ago(store, LATER / 2), await ago(store, LATER * 2)
        steps = await purge(store, Before(old, older, old))
        assert sum(step.removed for step in steps) == 4
        left = await store.inbox(list(keys.values()))
        gone = {name for name, key in keys.items() if key not in left}
        assert gone == {"old handled", "old refused"}
        assert sum(step.removed for step in await purge(store, Before(old, old, old))) == 2

    async def test_a_purge_goes_on_in_bounded_steps(self, house: StoreHouse) -> None:
        """RULES 2.7: each step looks at so many rows, the walk sees each once, and then begins anew."""
        store = await house.start()
        await store.commit([remembered(f"{n:03}", InboxState.HANDLED) for n in range(25)])
        await house.step(LATER)
        before = _all_before(await ago(store, LATER / 2))
        steps = await purge(store, before, limit=10)
        assert [step.removed for step in steps] == [10, 10, 5]
        await store.commit([remembered("again", InboxState.HANDLED)])
        await house.step(LATER)
        before = _all_before(await ago(store, LATER / 2))
        assert [step.removed for step in await purge(store, before)] == [1]

    async def test_a_row_is_remembered_from_the_later_of_two_moments(self, house: StoreHouse) -> None:
        """RULES 2.7: from its arrival or its event's `time`, which counts for at most a year ahead."""
        store = await house.start()
        ahead = {"past": -LATER, "none": 0.0, "soon": 86_400.0, "far": 900 * 86_400.0}
        now = await ago(store, 0)
        handled = InboxState.HANDLED
        await store.commit([remembered(name, handled, time=now + more) for name, more in ahead.items()])
        rows = await store.inbox([key_of(name) for name in ahead])
        kept = {name: rows[key_of(name)].updated - now for name in ahead}
        assert kept == {"past": near(0), "none": near(0), "soon": near(86_400), "far": near(FURTHEST_SECONDS)}

    async def test_step_runs_that_may_still_be_undone_stay(self, house: StoreHouse) -> None:
        """RULES 2.7: begun, undoing and unsure runs are not final; tombstones go with the ledger's retention."""
        store = await house.start()
        await store.commit([Ending(ledger=(ledger_row(state.value, state),)) for state in LedgerState])
        await house.step(LATER)
        await store.commit([Ending(ledger=(ledger_row("new", LedgerState.DONE),))])
        await purge(store, _all_before(await ago(store, LATER / 2)))
        async with store.transaction() as tx:
            left = await tx.ledger([run_of(name) for name in (*LedgerState, "new")])
        still = {run_of(name) for name in ("begun", "undoing", "unsure", "new")}
        assert set(left) == still
        assert set(await store.kept([run_of(name) for name in (*LedgerState, "new")])) == still
        assert await kept_rows(store) == len(still)

    async def test_done_runs_of_a_step_that_is_remembered_for_longer_stay(self, house: StoreHouse) -> None:
        """RULES 5.4: `remember=` keeps done runs of its step; what has no effect goes with the ledger's retention."""
        store = await house.start()
        made = {
            f"{step} {state}": ledger_row(f"{step} {state}", state)._replace(step=step)
            for step in ("kept", "plain")
            for state in (LedgerState.DONE, LedgerState.VOID)
        }
        runs = [run_of(name) for name in made]
        await store.commit([Ending(ledger=(row,)) for row in made.values()])
        await house.step(LATER)
        old, older = await ago(store, LATER / 2), await ago(store, LATER * 2)
        await purge(store, Before(old, old, old, {"kept": older}))
        async with store.transaction() as tx:
            assert set(await tx.ledger(runs)) == {run_of("kept done")}
        await purge(store, Before(old, old, old, {"kept": old}))
        async with store.transaction() as tx:
            assert set(await tx.ledger(runs)) == set()

    async def test_what_has_nothing_left_to_undo_is_emptied(self, house: StoreHouse) -> None:
        """RULES 5.4: undone, void and refused runs lose input, results and failure long before their row goes."""
        store = await house.start()
        await store.commit([Ending(ledger=(ledger_row(state.value, state),)) for state in LedgerState])
        await house.step(LATER)
        await store.commit([Ending(ledger=(ledger_row("new", LedgerState.VOID),))])
        long_ago, lately = await ago(store, LATER * 2), await ago(store, LATER / 2)
        for _ in range(2):
            await purge(store, Before(long_ago, long_ago, long_ago, emptied=lately))
            names = {run_of(name): name for name in (*LedgerState, "new")}
            async with store.transaction() as tx:
                rows = await tx.ledger(list(names))
            assert {names[run] for run, row in rows.items() if not row.failure} == {"undone", "void", "refused"}
            assert {names[run] for run, row in rows.items() if not row.kept} == {"undone", "void", "refused"}
            assert {names[run] for run, row in rows.items() if row.version == 2} == {"undone", "void", "refused"}
            assert len(await store.kept(list(names))) == await kept_rows(store) == len(names) - 3

    async def test_runs_of_a_step_that_is_across_now_are_renamed(self, house: StoreHouse) -> None:
        """RULES 5.1: all that nobody works on, with what is kept of them; what has another's name keeps its own."""
        store = await house.start()
        new = {state: run_key("", "shop.charge", f'["{state}"]') for state in (*LedgerState, "twice")}
        rows = {
            state: ledger_row(state.value, state)._replace(scope=f'["{state}"]', owner="", boot="")
            for state in LedgerState
        }
        rows[LedgerState.BEGUN] = rows[LedgerState.BEGUN]._replace(owner="token", boot="a boot that is over")
        others = {
            "subject": ledger_row("subject", LedgerState.DONE)._replace(scope="order/1"),
            "other": ledger_row("other", LedgerState.DONE)._replace(step="shop.other", scope='["done"]'),
            "twice": ledger_row("twice", LedgerState.DONE)._replace(scope='["twice"]'),
        }
        trace = ledger_row("there", LedgerState.TOMBSTONE)._replace(run=new["twice"], scope='["twice"]')
        await store.commit([Ending(ledger=(row,)) for row in (*rows.values(), *others.values(), trace)])
        before = Before(0, 0, 0, across={"payments.charge": AcrossStep("shop.charge", 1)}, boot="b")
        steps = await purge(store, before, limit=4)
        assert sum(step.renamed for step in steps) == len(LedgerState) - 1
        assert sum(step.taken for step in steps) == 1
        async with store.transaction() as tx:
            found = await tx.ledger(list(new.values()))
            left = await tx.ledger([run_of(name) for name in (*LedgerState, *others)])
        assert {row.state for row in found.values()} == {*LedgerState} - {LedgerState.UNDOING}
        assert {row.version for run, row in found.items() if run != new["twice"]} == {2}
        assert set(left) == {run_of(name) for name in ("undoing", *others)}
        kept = await store.kept([new[LedgerState.DONE]])
        assert kept == {new[LedgerState.DONE]: ledger_row("done").keeps}
        assert sum(step.renamed for step in await purge(store, before)) == 0

    async def test_what_somebody_works_on_is_renamed_when_it_has_ended(self, house: StoreHouse) -> None:
        """RULES 5.1: a run of this process, or of one that lives, ends under the name under which it began."""
        store = await house.start()
        row = ledger_row("mine", LedgerState.BEGUN)._replace(scope='["1"]', boot="boot-1")
        await store.commit([Ending(ledger=(row,))])
        before = Before(0, 0, 0, across={row.step: AcrossStep(row.step, 1)}, boot=row.boot)
        assert sum(step.renamed for step in await purge(store, before)) == 0
        await store.commit([Ending(ledger=(row._replace(state=LedgerState.DONE, version=1, keeps=None),))])
        assert sum(step.renamed for step in await purge(store, before)) == 1

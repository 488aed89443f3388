"""The store contract on purging: deletes only what is final and old, in bounded steps."""

from dataclasses import replace

from hocket.envelope.keys import inbox_key
from hocket.saga.ledger import LedgerState
from hocket.store.port import CrashableStore
from hocket.store.records import Before, Ending, InboxState, Purged
from hocket.testing.store_contract.fixtures import START, StoreHouse, StoreSuite, ending, ledger_row

#: Seconds; everything before it is old.
OLD = START + 1000
_UUID7 = "019b76da-a800-7000-8000-00000000000{}"  # of the moment of `START`


async def purge(store: CrashableStore, before: Before, limit: int = 100) -> list[Purged]:
    """A whole walk."""
    steps = [await store.purge(before, limit)]
    while not steps[-1].done:
        steps.append(await store.purge(before, limit))
    return steps


def aged(name: str, state: InboxState, updated: float, key: str = "") -> Ending:
    """An inbox row of this age."""
    made = ending(name, state=state)
    assert made.inbox is not None
    row = made.inbox.row._replace(updated=updated)
    if key:
        row = row._replace(key=inbox_key("shop.pack", "/shop", "a.b", key))
    return made._replace(inbox=made.inbox._replace(row=row))


class PurgeContract(StoreSuite):
    """RULES 2.7: retention."""

    async def test_only_what_is_final_and_old_is_purged(self, house: StoreHouse) -> None:
        """RULES 2.7: never what still waits for a retry; what died has a retention of its own."""
        store = await house.start()
        for at, state in enumerate(InboxState):
            await store.commit([aged(f"old {state}", state, OLD - 1), aged(f"new {state}", state, OLD + 1)])
            await store.commit([aged("timed", state, OLD - 1, _UUID7.format(at))])
        keys = {
            name: ending(name).inbox.row.key  # type: ignore[union-attr]  # it has one
            for name in [f"{age} {state}" for age in ("old", "new") for state in InboxState]
        }
        steps = await purge(store, Before(OLD, OLD - 10, OLD))
        assert sum(step.removed for step in steps) == 4
        left = await store.inbox(list(keys.values()))
        gone = {name for name, key in keys.items() if key not in left}
        assert gone == {"old handled", "old refused"}
        assert sum(step.removed for step in await purge(store, Before(OLD, OLD, OLD))) == 2

    async def test_a_purge_goes_on_in_bounded_steps(self, house: StoreHouse) -> None:
        """RULES 2.7: each step looks at so many rows, the walk sees each once, and then begins anew."""
        store = await house.start()
        await store.commit([aged(f"{n:03}", InboxState.HANDLED, OLD - 1) for n in range(25)])
        steps = await purge(store, Before(OLD, OLD, OLD), limit=10)
        assert [step.removed for step in steps] == [10, 10, 5]
        await store.commit([aged("again", InboxState.HANDLED, OLD - 1)])
        assert [step.removed for step in await purge(store, Before(OLD, OLD, OLD))] == [1]

    async def test_step_runs_that_may_still_be_undone_stay(self, house: StoreHouse) -> None:
        """RULES 2.7: begun, undoing and unsure runs are not final; tombstones go with the ledger's retention."""
        store = await house.start()
        rows = [replace(ledger_row(state.value, state), updated=OLD - 1) for state in LedgerState]
        await store.commit([Ending(ledger=tuple(rows))])
        await store.commit([Ending(ledger=(replace(ledger_row("new", LedgerState.DONE), updated=OLD + 1),))])
        await purge(store, Before(OLD, OLD, OLD))
        async with store.transaction() as tx:
            left = await tx.ledger([*(state.value for state in LedgerState), "new"])
        assert set(left) == {"begun", "undoing", "unsure", "new"}

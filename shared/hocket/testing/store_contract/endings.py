# ruff: noqa: PT012 -- a transaction raises at its exit, so what raises is a block
"""The store contract on endings: who wins, whole or not at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hocket.outcome import Attempt
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, RowKind
from hocket.testing.store_contract.fixtures import (
    START,
    StoreHouse,
    StoreSuite,
    ending,
    inbox_row,
    key_of,
    ledger_row,
    outbox_row,
    routing,
    run_of,
)


class EndingsContract(StoreSuite):
    """RULES 3: the inbox write decides."""

    @pytest.mark.parametrize(
        ("state", "recorded", "run", "replay", "wins"),
        [
            (None, 0, 1, False, True),
            (InboxState.RETRY, 1, 2, False, True),
            (InboxState.RETRY, 0, 1, False, True),  # attempt 1 was deferred: it recorded 0 and runs as 1 again
            (InboxState.RETRY, 2, 3, False, True),
            (InboxState.RETRY, 2, 2, False, False),
            (InboxState.RETRY, 2, 1, False, False),
            (InboxState.HANDLED, 1, 2, False, False),
            (InboxState.HANDLED, 1, 2, True, False),
            (InboxState.REFUSED, 1, 2, True, False),
            (InboxState.DEAD, 3, 4, False, False),
            (InboxState.DEAD, 3, 4, True, True),
            (InboxState.DEAD, 3, 3, True, False),
        ],
    )
    async def test_who_wins(
        self, house: StoreHouse, state: InboxState | None, recorded: int, run: int, replay: bool, wins: bool
    ) -> None:
        """RULES 3.1: an ending wins on a new key, on a lower attempt not final, or as a replay of what is dead."""
        store = await house.start()
        if state is not None:
            await store.commit([ending("a", recorded, state)])
        [written] = await store.commit([ending("a", run, replay=replay, outbox=[outbox_row("said")])])
        assert written.won is wins
        assert routing(written.outbox) == (["said"] if wins else [])
        assert routing(await store.due(0, 10)) == (["said"] if wins else [])
        row = (await store.inbox([key_of("a")]))[key_of("a")]
        assert (row.state, row.attempt) == ((InboxState.HANDLED, run) if wins else (state, recorded))

    async def test_deferred_runs_again(self, house: StoreHouse) -> None:
        """RULES 3.5: `deferred` of attempt n records n-1, so that attempt n wins once more, and only once."""
        store = await house.start()
        deferred = ending("a", 2, InboxState.RETRY, recorded=1)
        assert [w.won for w in await store.commit([deferred])] == [True]
        assert [w.won for w in await store.commit([ending("a", 2)])] == [True]
        assert [w.won for w in await store.commit([ending("a", 2)])] == [False]

    async def test_same_key_twice_in_one_call(self, house: StoreHouse) -> None:
        """RULES 3.1: of two endings of one key in one call the first wins; answers keep the order of the call."""
        store = await house.start()
        answers = await store.commit(
            [
                ending("b", outbox=[outbox_row("b1")]),
                ending("a", outbox=[outbox_row("a1")]),
                ending("b", 2, outbox=[outbox_row("b2")]),
                Ending(outbox=(outbox_row("receipt", kind=RowKind.RECEIPT),)),
            ]
        )
        assert [(answer.won, routing(answer.outbox)) for answer in answers] == [
            (True, ["b1"]),
            (True, ["a1"]),
            (False, []),
            (True, ["receipt"]),
        ]

    async def test_a_stale_twin_does_not_shade_a_good_run(self, house: StoreHouse) -> None:
        """RULES 3.1: a loser of a key leaves the next ending of that key in the same call its chance."""
        store = await house.start()
        await store.commit([ending("a", 1, InboxState.RETRY)])
        answers = await store.commit([ending("a", 1, InboxState.RETRY), ending("a", 2)])
        assert [answer.won for answer in answers] == [False, True]

    async def test_loser_writes_nothing(self, house: StoreHouse) -> None:
        """RULES 3.1: neither outbox nor ledger of a loser is written; its neighbours are."""
        store = await house.start()
        await store.commit([ending("a")])
        lost = ending("a", outbox=[outbox_row("lost")])._replace(ledger=(ledger_row("run-lost"),))
        kept = ending("b", outbox=[outbox_row("kept")])._replace(ledger=(ledger_row("run-kept"),))
        assert [w.won for w in await store.commit([lost, kept])] == [False, True]
        assert routing(await store.due(0, 10)) == ["kept"]
        async with store.transaction() as tx:
            assert set(await tx.ledger([run_of("run-lost"), run_of("run-kept")])) == {run_of("run-kept")}

    async def test_receipts_ride_in_one_row(self, house: StoreHouse) -> None:
        """RULES 3.4: the winners' receipts of one call are one outbox row, among those of the first winner."""
        store = await house.start()
        await store.commit([ending("lost")])
        told = [
            ending(name, outbox=[outbox_row(name)])._replace(receipt=f'{{"of":"{name}"}}'.encode())
            for name in ("lost", "b", "a")
        ]
        lost, first, second = (await store.commit([*told, Ending(receipt=b"{}")]))[:3]
        assert not lost.won
        assert [row.kind for row in first.outbox] == [RowKind.EVENT, RowKind.RECEIPT]
        assert first.outbox[1].message.body == b'[{"of":"b"},{"of":"a"},{}]'
        assert routing(second.outbox) == ["a"]
        assert (await store.waiting()).receipts == 1

    async def test_won_writes_without_asking(self, house: StoreHouse) -> None:
        """RULES 3.1: a transaction that has won its key writes the row again at its end."""
        store = await house.start()
        async with store.transaction() as tx:
            assert (await tx.write([ending("a", state=InboxState.HANDLED)]))[0].won
            again = InboxWrite(inbox_row("a", InboxState.HANDLED, 1, said=("said-1",)), 1, won=True)
            assert (await tx.write([Ending(again, (outbox_row("said"),))]))[0].won
        assert (await store.inbox([key_of("a")]))[key_of("a")].said == ("said-1",)

    async def test_whole_or_not_at_all(self, house: StoreHouse) -> None:
        """RULES 3.1, 3.2: a row that cannot be written is no `StoreError`; nothing of its call is written."""
        store = await house.start()
        broken = outbox_row("x")._replace(event_id="lone \ud800 surrogate")
        with pytest.raises(UnicodeEncodeError):
            await store.commit([ending("a", outbox=[outbox_row("a")]), ending("b", outbox=[broken])])
        assert await store.inbox([key_of("a"), key_of("b")]) == {}
        assert await store.due(0, 10) == []
        assert [w.won for w in await store.commit([ending("a")])] == [True]

    async def test_failed_write_dooms_its_transaction(self, house: StoreHouse) -> None:
        """RULES 3.1: a handler that swallows a failed write does not commit half of it."""
        store = await house.start()
        with pytest.raises(UnicodeEncodeError):
            async with store.transaction() as tx:
                with pytest.raises(UnicodeEncodeError):
                    await tx.write(
                        [
                            ending("a"),
                            ending("b", outbox=[outbox_row("x")._replace(subject="\ud800")]),
                        ]
                    )
        assert await store.inbox([key_of("a")]) == {}

    async def test_inbox_round_trip(self, house: StoreHouse) -> None:
        """RULES 1.6: the inbox row keeps everything, the whole history included."""
        store = await house.start()
        row = InboxRow(
            key=key_of("a"),
            subscription="payments.charge",
            event_id="event",
            state=InboxState.DEAD,
            attempt=5,
            base=2,
            version=3,
            data_hash=b"\x00\xff" * 8,
            revision=1,
            correlation_id="flow",
            said=("one", "zwei ✓"),
            death_id="death",
            spoke=True,
            history=(Attempt(1, "t0", "t1", "retry", "OSError", "gone", "trace"), Attempt(2, "t2", "t3", "dead")),
            updated=START + 0.25,
        )
        await store.commit([Ending(InboxWrite(row, 5))])
        found = await store.inbox([key_of("a"), key_of("none")])
        assert {key: each._replace(updated=row.updated) for key, each in found.items()} == {key_of("a"): row}

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(
        runs=some.lists(
            some.tuples(
                some.sampled_from("ab"),
                some.integers(1, 4),
                some.booleans(),
                some.sampled_from([*InboxState, "deferred"]),
            ),
            max_size=12,
        )
    )
    async def test_wins_like_the_model(self, house: StoreHouse, runs: list[tuple[str, int, bool, str]]) -> None:
        """RULES 3.1, 3.5: over any sequence of runs the store lets the same ones win as the model does."""
        store = house.open[0] if house.open else await house.start()
        rows: dict[str, tuple[InboxState, int]] = {}
        house.examples += 1
        for name, run, replay, end in runs:
            state = InboxState.RETRY if end == "deferred" else InboxState(end)
            recorded = run - (end == "deferred")
            row = inbox_row(f"{house.examples}-{name}", state, recorded)
            [written] = await store.commit([Ending(InboxWrite(row, run, replay))])
            assert written.won is wins(rows.get(name), run, replay)
            if written.won:
                rows[name] = (state, recorded)
        keys = {name: key_of(f"{house.examples}-{name}") for name in "ab"}
        stored = await store.inbox(list(keys.values()))
        assert {name: (stored[key].state, stored[key].attempt) for name, key in keys.items() if key in stored} == rows


def wins(row: tuple[InboxState, int] | None, run: int, replay: bool) -> bool:
    """Does the inbox write of this run take the row? As the model of RULES 3 has it."""
    if row is None:
        return True
    state, attempt = row
    if state is InboxState.RETRY:
        return attempt < run
    return state is InboxState.DEAD and replay and attempt < run

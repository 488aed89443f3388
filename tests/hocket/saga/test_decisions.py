"""Steps and their undo: each transition, and every order in which they can occur."""

from typing import Any

import pytest

from hocket.saga import (
    Begun,
    Conflict,
    Ended,
    Failed,
    Kept,
    LedgerRow,
    LedgerState,
    Obsolete,
    Refused,
    UndoOrder,
    Wait,
    begin,
    end,
    fail,
    owns,
    release,
    undone,
)
from tests.model.decisions import small
from tests.model.explorer import explore
from tests.model.rules_left_out import RULES

TWICE = "two copies, a failure twice"
UNSEEN = "a zombie that nobody sees"
#: What shows first when a rule is left out, and the scenario in which it shows.
FOUND = {
    "begun": (TWICE, UNSEEN),
    "owner": ("dies for good, on_dead", UNSEEN),
    "tombstone": (TWICE, UNSEEN),
    "mark": (TWICE, UNSEEN),
    "void": (TWICE, "undid a step that had done nothing"),
    "next-undo": ("dies for good, on_dead", UNSEEN),
    "obsolete": ("a letter is replayed while a failure may come", "failed and left done"),
}

ROW = LedgerRow(
    "run",
    "flow",
    "payments.charge",
    "order/1",
    LedgerState.BEGUN,
    "me",
    "boot",
    b"key",
    updated=5.0,
)
KEPT = Kept(b"input", (b"result",))
FREE = ROW._replace(owner="", boot="")
FINAL = (LedgerState.DONE, LedgerState.VOID, LedgerState.UNSURE, LedgerState.UNDOING, LedgerState.UNDONE)


def begun(row: LedgerRow | None, **other: Any) -> Begun | Wait | Refused | Conflict | Obsolete:
    """The delivery of `ROW` asks to begin, with its own token."""
    words: dict[str, Any] = {
        "run": "run", "correlation_id": "flow", "step": "payments.charge", "scope": "order/1", "token": "me",
        "boot": "boot", "inbox_key": b"key", "replay": False, "now": 5.0,
    }  # fmt: skip
    return begin(row, **words | other)


def ended(row: LedgerRow, how: LedgerState, **other: Any) -> Ended:
    """The run of token `me` ends."""
    words: dict[str, Any] = {"token": "me", "boot": "boot", "keeps": KEPT, "spoken": None, "now": 9.0}
    return end(row, end=how, **words | other)


def failed(row: LedgerRow | None) -> Failed:
    """A failure event arrives."""
    return fail(row, run="run", correlation_id="flow", step="payments.charge", scope="order/1", failure=b"why", now=9.0)


def test_the_first_copy_begins() -> None:
    """RULES 5.2: the `begun` row has its owner and its run; a copy or a redelivery brings the input."""
    assert begun(None) == Begun(ROW)


def test_a_step_whose_flow_failed_before_is_refused() -> None:
    """RULES 5.3: a step that finds a tombstone is `refused`, each time it is delivered."""
    tombstone = failed(None).row
    assert tombstone is not None
    assert (tombstone.state, tombstone.failure, tombstone.updated) == (LedgerState.TOMBSTONE, b"why", 9.0)
    first = begun(tombstone)
    assert isinstance(first, Refused)
    assert (first.row.state, first.row.inbox_key) == (LedgerState.REFUSED, b"key")
    assert begun(first.row) == first


def test_a_copy_waits_while_another_is_at_work() -> None:
    """RULES 5.2: a row with an owner is being handled, in any process; a row without one is taken over."""
    assert begun(ROW._replace(owner="other")) == Wait()
    assert begun(FREE) == Begun(ROW)
    assert begun(ROW._replace(owner="other", boot="another")) == Wait()
    assert begun(ROW) == Begun(ROW)


def test_taking_over_keeps_the_mark() -> None:
    """RULES 5.3: a marked failure stays when another run takes the row over."""
    assert begun(FREE._replace(failure=b"why")) == Begun(ROW._replace(failure=b"why"))


@pytest.mark.parametrize("state", [LedgerState.BEGUN, LedgerState.REFUSED, *FINAL])
def test_another_input_in_the_same_run_is_a_conflict(state: LedgerState) -> None:
    """RULES 5.1: a flow has one run for each scope."""
    assert begun(FREE._replace(state=state), inbox_key=b"another") == Conflict()
    assert begun(FREE._replace(state=state), inbox_key=b"another", replay=True) == Conflict()


@pytest.mark.parametrize("state", FINAL)
@pytest.mark.parametrize("replay", [False, True])
def test_what_has_ended_does_not_begin_again(state: LedgerState, replay: bool) -> None:
    """RULES 5.6: only the replay of an unsure run begins again; it keeps the number of its undos."""
    row = FREE._replace(state=state, generation=2, kept=7, version=3)
    if state is LedgerState.UNSURE and replay:
        assert begun(row, replay=True) == Begun(ROW._replace(generation=2, kept=7, version=3))
    else:
        assert begun(row, replay=replay) == Obsolete()


def test_an_unmarked_run_ends_as_it_ended() -> None:
    """RULES 5.2: done, void or unsure, without an owner; what an undo needs is kept where there may be one."""
    for how in (LedgerState.DONE, LedgerState.VOID, LedgerState.UNSURE):
        row = FREE._replace(state=how, keeps=None if how is LedgerState.VOID else KEPT, updated=9.0)
        assert ended(ROW, how) == Ended(row, None, won=True)


def test_a_marked_run_undoes_itself_at_its_end() -> None:
    """RULES 5.3: a marked run orders its undo when it ends; a void one has nothing to undo."""
    marked = failed(ROW).row
    assert marked == ROW._replace(failure=b"why", updated=9.0)
    for how in (LedgerState.DONE, LedgerState.UNSURE):
        after = ended(marked, how)
        assert (after.row.state, after.row.generation, after.won) == (LedgerState.UNDOING, 1, True)
        assert after.row.keeps == KEPT
        assert after.undo == UndoOrder("run", 1, b"why", "flow")
    assert ended(marked, LedgerState.VOID).undo is None
    assert ended(marked, LedgerState.VOID).row.state is LedgerState.VOID


def test_what_on_dead_said_undoes_the_step() -> None:
    """RULES 5.5: what `on_dead` says orders the step's own undo; a marked failure has precedence."""
    after = ended(ROW, LedgerState.UNSURE, keeps=Kept(b"input"), spoken=b"spoken")
    assert after.undo == UndoOrder("run", 1, b"spoken", "flow")
    assert (after.row.state, after.row.failure) == (LedgerState.UNDOING, b"spoken")
    both = ended(ROW._replace(failure=b"why"), LedgerState.UNSURE, spoken=b"spoken")
    assert both.undo == UndoOrder("run", 1, b"why", "flow")


def test_a_fenced_run_starts_the_next_undo() -> None:
    """RULES 5.4: its effect may have come after the undo; a void run had no effect."""
    for state in (LedgerState.UNDOING, LedgerState.UNDONE):
        row = FREE._replace(state=state, generation=1, failure=b"why")
        for how in (LedgerState.DONE, LedgerState.UNSURE):
            after = ended(row, how)
            assert after.undo == UndoOrder("run", 2, b"why", "flow")
            assert (after.row.state, after.row.generation, after.won) == (LedgerState.UNDOING, 2, False)
        assert ended(row, LedgerState.VOID) == Ended(row, None, won=False)


def test_a_fenced_run_is_undone_by_its_own_result() -> None:
    """RULES 5.4: where it has none, what is kept stays; where nothing is kept, its input is."""
    row = FREE._replace(state=LedgerState.UNDONE, failure=b"why", kept=7)
    assert ended(row, LedgerState.DONE).row.keeps == KEPT
    assert ended(row, LedgerState.UNSURE, keeps=Kept(b"input")).row.keeps is None
    assert ended(row._replace(kept=0), LedgerState.UNSURE, keeps=Kept(b"input")).row.keeps == Kept(b"input")


def test_a_fenced_run_finds_no_reason_in_an_emptied_row() -> None:
    """RULES 5.4: no undo can be ordered; its caller is told, and writes no row."""
    row = FREE._replace(state=LedgerState.UNDONE, generation=1)
    for how in (LedgerState.DONE, LedgerState.UNSURE):
        assert ended(row, how) == Ended(row, None, won=False, forgotten=True)
    assert ended(row, LedgerState.VOID) == Ended(row, None, won=False)


def test_a_fenced_run_changes_nothing_else() -> None:
    """RULES 3.1: only the run that owns the `begun` row wins."""
    for row in (
        ROW._replace(owner="other"),
        ROW._replace(boot="after"),
        FREE,
        FREE._replace(state=LedgerState.DONE),
        FREE._replace(state=LedgerState.UNSURE),
    ):
        assert ended(row, LedgerState.DONE) == Ended(row, None, won=False)
        assert not owns(row, "me", "boot")


def test_release_clears_only_its_own() -> None:
    """RULES 5.2: a retry, a deferral and a stop clear their own owner and no other."""
    assert release(ROW, "me", 9.0) == FREE._replace(updated=9.0)
    other = ROW._replace(owner="other")
    assert release(other, "me", 9.0) is other
    done = ROW._replace(state=LedgerState.DONE)
    assert release(done, "me", 9.0) is done


def test_a_failure_undoes_what_is_done_or_unsure() -> None:
    """RULES 5.3: the row becomes `undoing`, and the undo is ordered."""
    for state in (LedgerState.DONE, LedgerState.UNSURE):
        after = failed(FREE._replace(state=state, kept=7, version=3))
        assert after.undo == UndoOrder("run", 1, b"why", "flow")
        assert after.row == FREE._replace(
            state=LedgerState.UNDOING, kept=7, version=3, failure=b"why", generation=1, updated=9.0
        )


def test_a_second_failure_changes_nothing() -> None:
    """RULES 5.3: a mark is not replaced, and only rows that are done or unsure are undone."""
    assert failed(ROW._replace(failure=b"first")) == Failed(None, None)
    for state in LedgerState:
        if state not in {LedgerState.BEGUN, LedgerState.DONE, LedgerState.UNSURE}:
            assert failed(FREE._replace(state=state)) == Failed(None, None)


def test_only_the_last_undo_ends_it() -> None:
    """RULES 5.4: an earlier undo leaves the row `undoing`."""
    row = FREE._replace(state=LedgerState.UNDOING, generation=2)
    assert undone(row, 1, 9.0) is None
    assert undone(row, 2, 9.0) == row._replace(state=LedgerState.UNDONE, updated=9.0)
    assert undone(row._replace(state=LedgerState.DONE), 2, 9.0) is None


@pytest.mark.parametrize("name", small())
def test_every_order_ends_well(name: str) -> None:
    """RULES 5.1 to 5.6: no order of arrival, crash, pause and double leaves a zombie that nobody sees, or wedges.

    With two crashes and two pauses: `make models`.
    """
    explored = explore(small()[name])
    assert not explored.wrong, explored.path
    assert explored.states > 1000, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_needed(rule: str) -> None:
    """RULES 5: leave one rule out, and some order of things ends badly."""
    scenario, wrong = FOUND[rule]
    explored = explore(small(frozenset({rule}))[scenario])
    assert explored.wrong == wrong
    assert explored.path

"""RULES 5.8: what has failed, what is a zombie and what is an open letter, for every state of a run and of its undo."""

import pytest

from hocket.saga import LedgerState, Standing, UndoStand, has_failed, standing

STANDS = {LedgerState.DONE, LedgerState.UNSURE}


@pytest.mark.parametrize("run", LedgerState)
@pytest.mark.parametrize("undo", UndoStand)
@pytest.mark.parametrize("reached", [True, False])
def test_a_zombie_is_an_effect_that_a_failure_reached_and_nobody_undoes(
    run: LedgerState, undo: UndoStand, reached: bool
) -> None:
    """RULES 5.8: done or unsure and reached, or undoing; and its undo is dead, or open beyond its retry budget."""
    stands = run is LedgerState.UNDOING or (run in STANDS and reached)
    zombie = stands and undo in {UndoStand.DEAD, UndoStand.LATE}
    assert (standing(run, reached=reached, undo=undo) is Standing.ZOMBIE) is zombie


def test_a_letter_that_no_failure_follows_is_an_open_letter() -> None:
    """RULES 5.8: of a leaf, or of a step that may have happened: somebody's work, no zombie."""
    assert standing(None, letter=True) is Standing.OPEN_LETTER
    assert standing(LedgerState.UNSURE, letter=True) is Standing.OPEN_LETTER
    assert standing(LedgerState.UNSURE, letter=True, undo=UndoStand.OPEN, reached=True) is Standing.OPEN_LETTER
    assert standing(None) is standing(LedgerState.DONE) is Standing.NONE


@pytest.mark.parametrize("run", LedgerState)
def test_a_flow_has_failed_when_a_failure_reached_a_step(run: LedgerState) -> None:
    """RULES 5.8: or `on_dead` spoke for one, which leaves it undoing; the trace of a failure alone reached nobody."""
    assert has_failed(run, reached=True)
    mine = {LedgerState.REFUSED, LedgerState.UNDOING, LedgerState.UNDONE}
    assert has_failed(run, reached=False) is (run in mine)

"""Whose turn it is within a subject."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hocket.outbox.subject_order import SubjectOrder
from hocket.store.records import OutboxRow, RowKind
from hocket.testing.store_contract.fixtures import outbox_row


def _row(id: int, subject: str, kind: RowKind = RowKind.EVENT) -> OutboxRow:
    return outbox_row(str(id), kind=kind)._replace(subject=subject).stored(id)


@given(subjects=st.lists(st.sampled_from(["", "bell/a", "bell/b"]), max_size=30), seed=st.integers())
def test_one_of_a_subject_is_under_way(subjects: list[str], seed: int) -> None:
    """RULES 4.2: whatever is confirmed when, of each subject one row is under way and they go in order; all go."""
    chance, turns = random.Random(seed), SubjectOrder()
    waiting = [_row(id, subject) for id, subject in enumerate(subjects, start=1)]
    flying: list[OutboxRow] = []
    went: list[OutboxRow] = []
    while waiting or flying:
        if waiting and (not flying or chance.random() < 0.5):
            row = waiting.pop(0)
            if turns.may_go(row):
                flying.append(row)
                went.append(row)
        else:
            row = flying.pop(chance.randrange(len(flying)))
            following = turns.ended(row)
            waiting[:0] = [following] if following is not None else []
        under_way = [row.subject for row in flying if row.subject]
        assert len(set(under_way)) == len(under_way)
    assert not turns
    assert sorted(row.id for row in went) == list(range(1, len(subjects) + 1))
    for subject in ("bell/a", "bell/b"):
        ids = [row.id for row in went if row.subject == subject]
        assert ids == sorted(ids)


def test_what_is_due_later_holds_nobody() -> None:
    """RULES 4.2: only events hold others back, not what the service sends itself or has scheduled."""
    turns = SubjectOrder()
    first, second = _row(1, "bell/a", RowKind.SCHEDULED), _row(2, "bell/a", RowKind.SCHEDULED)
    assert turns.may_go(first)
    assert turns.may_go(second)
    assert turns.ended(first) is None

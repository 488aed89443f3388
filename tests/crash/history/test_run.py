"""A small run of `make crash-history`; and the reader would see what is wrong."""

from pathlib import Path

import pytest

from tests.crash.history.__main__ import once
from tests.crash.history.reader import Reader


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_is_lost_where_history_and_a_rebuild_are_killed(
    store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """RULES 7.5, 14.2: killed while it reads, at the cut-over, and at the swap; no read went back."""
    assert once(seed=3, kills=1, events=150, store=store, folder=tmp_path) == 0, capfd.readouterr().out


def test_the_reader_sees_what_is_wrong() -> None:
    """An older answer, and one whose parts do not fit each other."""
    reader = Reader()
    reader.judge(rows=3, different=3, counted=3)
    assert reader.wrong == []
    reader.judge(rows=2, different=2, counted=2)
    reader.judge(rows=4, different=3, counted=4)
    reader.judge(rows=4, different=4, counted=5)
    assert len(reader.wrong) == 3

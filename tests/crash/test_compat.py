"""The compat run uses the server that it brings, and says so where it cannot bring one."""

from pathlib import Path

import pytest

from deploy.broker.node import PROGRAMS, find_programs
from tests.crash import compat


def test_a_named_folder_of_programs_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`RABBITMQ_PROGRAMS` goes before what is installed."""
    monkeypatch.setenv(PROGRAMS, str(tmp_path))
    assert find_programs() == tmp_path


def test_without_rights_it_says_why_it_skips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no chroot can be made the run ends well, with one sentence; it is never skipped silently."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert compat.main() == 0
    assert capsys.readouterr().out.startswith("compat skipped: it needs root")

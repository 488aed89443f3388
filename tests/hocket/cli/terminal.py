"""The program `hocket`, called as from a shell."""

import sys
from typing import NamedTuple

import pytest

from hocket.cli import main


class Ended(NamedTuple):
    """How a command ended: status, output and errors."""

    status: int
    out: str
    err: str


class Terminal:
    """Calls `hocket` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str) -> Ended:
        """Run one command to its end."""
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["hocket", *words])
        status = 0
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else int(left.code is not None)
        return Ended(status, *self._capsys.readouterr())

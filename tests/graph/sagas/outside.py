"""The outside that the sagas of the graph act on: what a handler may ask of it, and the answers that a move gives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from hocket import Retry

#: Undos and steps that die at their first failure, and steps that have one attempt more.
ONCE = Retry(retries=0)
TWICE = Retry(retries=1, first=timedelta(seconds=1), longest=timedelta(seconds=1))

OK, DECLINED, ERROR, LIED = "ok", "declined", "error", "error, done"
#: In place of an answer: the process stops, and gives the delivery back.
STOPPED = "stopped"


class NoAnswer(Exception):
    """The outside did not answer: nobody knows what it did."""


class Outside(Protocol):
    """What the handlers of the sagas use."""

    async def act(self, tx: Any, name: str, thing: str) -> bool:
        """Do what the step is for, or what its undo is for; False: it was declined, and nothing was done."""
        ...


@dataclass(frozen=True)
class Scripted:
    """The outside of one attempt in the graph: it answers what the move says; the books are kept by the move."""

    answer: str = OK

    async def act(self, tx: Any, name: str, thing: str) -> bool:
        """Answer."""
        if self.answer in {ERROR, LIED}:
            raise NoAnswer
        return self.answer == OK


@asynccontextmanager
async def uses() -> AsyncIterator[Outside]:
    """Never used: each test gives its own."""
    yield Scripted()

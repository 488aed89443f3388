"""The outside that the sagas of the graph act on: what a handler may ask of it, and the answers that a move gives."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from hocket import Retry

#: Undos and steps that die at their first failure, and steps that have one attempt more.
ONCE = Retry(retries=0)
TWICE = Retry(retries=1, first=timedelta(seconds=1), longest=timedelta(seconds=1))

OK, DECLINED, ERROR, LIED = "ok", "declined", "error", "error, done"


class NoAnswer(Exception):
    """The outside did not answer: nobody knows what it did."""


@dataclass(frozen=True)
class Outside:
    """The outside of one attempt: it answers what the move says."""

    answer: str = OK

    async def act(self) -> bool:
        """Do what the step is for, or what its undo is for; False: it was declined, and nothing was done."""
        if self.answer in {ERROR, LIED}:
            raise NoAnswer
        return self.answer == OK


def uses() -> NoReturn:
    """Never called: the graph gives each attempt its own outside."""
    raise AssertionError("the graph gives each attempt its own outside")

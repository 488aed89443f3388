"""The judge of the crash run of ordered subscriptions names each kind of broken promise."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest

from tests.crash.ordering.judge import Books, judge
from tests.crash.ordering.services import QUEUES, is_poison


def _names() -> list[str]:
    """Four names of one account, in order: plain, poison to `hold`, poison to `leave`, plain."""
    wanted = [(False, False), (True, False), (False, True), (False, False)]
    found: list[str] = []
    for number in count():
        sale = f"a.{number:06d}"
        if (is_poison(sale, "hold"), is_poison(sale, "leave")) == wanted[len(found)]:
            found.append(sale)
        if len(found) == len(wanted):
            return found
    raise AssertionError("numbers do not end")


NAMES = _names()


@dataclass
class Written:
    """Books that can be written in."""

    calls: list[tuple[str, str, str]] = field(default_factory=list)
    effects: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    letters: list[tuple[str, str, str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=lambda: list(NAMES))


def good() -> Written:
    """Books of a run in which one was replayed and one was left behind."""
    books = Written()
    for sale in NAMES:
        for what, queue in QUEUES.items():
            books.calls += [(what, sale, f"{what} {sale}")] * 2
            if is_poison(sale, what):
                books.letters.append((queue, "Poison", sale))
            if what != "keep" and not (what == "leave" and is_poison(sale, what)):
                books.effects.append((sale, what))
        books.kept[sale] = 1
    return books


def found(books: Written, said: Sequence[str] = NAMES) -> tuple[int, int, int, int]:
    """How many findings of each kind."""
    verdict = judge({"a": said}, Books(books.calls, books.effects, books.kept, books.letters, books.taken), 1)
    assert verdict.clean is not any((verdict.disorder, verdict.lost, verdict.doubled, verdict.strange))
    return len(verdict.disorder), len(verdict.lost), len(verdict.doubled), len(verdict.strange)


def test_good_books_are_clean() -> None:
    """RULES 9.3: repeats of one event under its own key are no fault."""
    assert found(good()) == (0, 0, 0, 0)


def test_a_late_repeat_is_no_disorder() -> None:
    """RULES 9.1: what a replaced process still calls comes again under its key."""
    books = good()
    books.calls.append(books.calls[0])
    assert found(books) == (0, 0, 0, 0)
    books.calls.append((*books.calls[0][:2], "another key"))
    assert found(books) == (0, 0, 0, 1)


def test_the_brokers_order_counts() -> None:
    """RULES 9.2: what the broker took later, though it was said earlier, is due later."""
    books = good()
    books.taken.reverse()
    assert found(books)[0]
    books.calls.reverse()
    books.effects.reverse()
    assert found(books) == (0, 0, 0, 0)


def _overtake(books: Written) -> None:
    late = [each for each in books.calls if each[:2] == ("keep", NAMES[0])]
    books.calls[:] = [each for each in books.calls if each not in late] + late


def _write_too_early(books: Written) -> None:
    books.effects.insert(0, books.effects.pop())


def _lose_call(books: Written) -> None:
    books.calls[:] = [each for each in books.calls if each[:2] != ("leave", NAMES[2])]


def _lose_effect(books: Written) -> None:
    books.effects.remove((NAMES[1], "hold"))


def _lose_word(books: Written) -> None:
    del books.kept[NAMES[3]]


def _say_twice(books: Written) -> None:
    books.kept[NAMES[3]] = 2


def _do_twice(books: Written) -> None:
    books.effects.append(books.effects[-1])


def _do_what_is_dead(books: Written) -> None:
    books.effects.insert(books.effects.index((NAMES[2], "hold")), (NAMES[2], "leave"))


def _bury_the_living(books: Written) -> None:
    books.letters.append((QUEUES["keep"], "crash", NAMES[0]))


def _lose_letter(books: Written) -> None:
    books.letters.pop()


@pytest.mark.parametrize(
    ("fault", "findings"),
    [
        (_overtake, (1, 0, 0, 0)),
        (_write_too_early, (2, 0, 0, 0)),
        (_lose_call, (0, 1, 0, 0)),
        (_lose_effect, (0, 1, 0, 0)),
        (_lose_word, (0, 1, 0, 0)),
        (_say_twice, (0, 0, 1, 0)),
        (_do_twice, (0, 0, 1, 0)),
        (_do_what_is_dead, (0, 0, 0, 1)),
        (_bury_the_living, (0, 0, 0, 1)),
        (_lose_letter, (0, 1, 0, 0)),
    ],
)
def test_each_fault_is_named(fault: Callable[[Written], None], findings: tuple[int, int, int, int]) -> None:
    """One planted fault gives findings of its kind alone."""
    books = copy.deepcopy(good())
    fault(books)
    assert found(books) == findings

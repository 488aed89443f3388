"""The verdict on webhooks names each kind of broken promise; it is what the crash run of webhooks stands on."""

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.webhooks.verdict import Kept, Seen, judge

DUE = {"a": "said", "b": "nothing", "c": "contract", "d": "refused", "e": "said"}
World = tuple[list[dict[str, Any]], Seen]


def answers(number: str, what: str, flows: list[str], **statuses: int) -> dict[str, Any]:
    """What the senders write down of one push."""
    given = {status.removeprefix("s"): times for status, times in statuses.items()}
    return {"number": number, "what": what, "statuses": given, "flows": flows, "given_up": False}


def world() -> World:
    """Everything as it must be: a came twice, b says nothing, c is kept, d was refused, e came with two contents."""
    seen = Seen()
    seen.events["a"]["first"] = {("/ingress 1", "f1")}
    seen.events["e"]["other"] = {("/ingress 2", "f5")}
    for name in ("billing", "stock"):
        seen.books[name] = Counter({("a", "first"): 1, ("e", "other"): 1})
    seen.kept = [
        Kept("c", "github", "kept", "contract", "f3"),
        Kept("d", "github", "refused", "signature", "f9"),
        Kept("e", "github", "kept", "conflict", "f4"),
    ]
    pushed = [
        answers("a", "first", ["f1"], s0=2, s503=1, s202=1),
        answers("a", "first", ["f1"], s202=1),
        answers("b", "first", ["f2"], s202=1),
        answers("c", "first", ["f3"], s202=1),
        answers("d", "first", [], s0=1, s401=1),
        answers("e", "first", ["f4"], s202=1),
        answers("e", "other", ["f5"], s202=1),
    ]
    return pushed, seen


def test_good_books_are_clean() -> None:
    """RULES 12.2, 12.4, 12.5: nothing lost, doubled or strange; 503 and no answer are no fault."""
    verdict = judge(DUE, *world(), 3)
    assert (verdict.lost, verdict.doubled, verdict.strange) == ([], [], [])
    assert verdict.line() == "kills 3 deliveries 4 events 2 lost 0 doubled 0 strange 0"
    assert verdict.figures() == (
        "pushes 7, attempts: no answer 3, 202 6, 401 1, 503 1; given up 0; "
        "kept: kept conflict 1, kept contract 1, refused signature 1"
    )


def _lose_event(pushed: list[dict[str, Any]], seen: Seen) -> None:
    """The books have none of it either."""
    del seen.events["a"]
    for book in seen.books.values():
        del book["a", "first"]


def _say_twice(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.events["a"]["first"].add(("/ingress 7", "f1"))
    for book in seen.books.values():
        book["a", "first"] = 2


def _lose_line(pushed: list[dict[str, Any]], seen: Seen) -> None:
    del seen.books["stock"]["a", "first"]


def _write_twice(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.books["stock"]["a", "first"] = 2


def _other_line(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.books["stock"] = Counter({("a", "other"): 1, ("e", "other"): 1})


def _say_refused(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.events["d"]["first"] = {("/ingress 7", "f9")}


def _accept_refused(pushed: list[dict[str, Any]], seen: Seen) -> None:
    pushed[4] = answers("d", "first", [], s202=1)


def _refuse_genuine(pushed: list[dict[str, Any]], seen: Seen) -> None:
    pushed[0]["statuses"]["500"] = 1


def _say_nothing(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.events["b"]["first"] = {("/ingress 7", "f2")}


def _forget_kept(pushed: list[dict[str, Any]], seen: Seen) -> None:
    del seen.kept[0]


def _forget_conflict(pushed: list[dict[str, Any]], seen: Seen) -> None:
    del seen.kept[2]


def _keep_twice(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.kept.append(seen.kept[0])


def _keep_good(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.kept.append(Kept("a", "github", "kept", "mapping", "f1"))


def _keep_unknown(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.kept.append(Kept("", "github", "kept", "unparsable", "f1"))


def _two_flows(pushed: list[dict[str, Any]], seen: Seen) -> None:
    pushed[1]["flows"] = ["f8"]


def _no_ones_flow(pushed: list[dict[str, Any]], seen: Seen) -> None:
    pushed[0]["flows"] = pushed[1]["flows"] = ["f8"]


def _bury(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.letters.append("stock.count, TimeoutError")


def _invent(pushed: list[dict[str, Any]], seen: Seen) -> None:
    seen.events["z"]["first"] = {("/ingress 7", "f2")}


def _give_up(pushed: list[dict[str, Any]], seen: Seen) -> None:
    pushed[0]["given_up"] = pushed[1]["given_up"] = True


@pytest.mark.parametrize(
    ("fault", "lost", "doubled", "strange"),
    [
        (_lose_event, 3, 0, 0),
        (_say_twice, 0, 1, 0),
        (_lose_line, 1, 0, 0),
        (_write_twice, 0, 1, 0),
        (_other_line, 0, 0, 1),
        (_say_refused, 0, 0, 1),
        (_accept_refused, 0, 0, 1),
        (_refuse_genuine, 0, 0, 1),
        (_say_nothing, 0, 0, 1),
        (_forget_kept, 1, 0, 0),
        (_forget_conflict, 1, 0, 0),
        (_keep_twice, 0, 1, 0),
        (_keep_good, 0, 0, 1),
        (_keep_unknown, 0, 0, 1),
        (_two_flows, 0, 0, 1),
        (_no_ones_flow, 0, 0, 1),
        (_bury, 0, 0, 1),
        (_invent, 0, 0, 1),
        (_give_up, 0, 0, 1),
    ],
)
def test_each_fault_is_named(
    fault: Callable[[list[dict[str, Any]], Seen], None], lost: int, doubled: int, strange: int
) -> None:
    """One planted fault gives findings of its kind alone, and the verdict is not clean."""
    pushed, seen = copy.deepcopy(world())
    fault(pushed, seen)
    verdict = judge(DUE, pushed, seen, 1)
    assert (len(verdict.lost), len(verdict.doubled), len(verdict.strange)) == (lost, doubled, strange)
    assert not verdict.clean


def test_what_nobody_was_told_of_may_be_there_or_not() -> None:
    """A push without any 2xx may have been committed: one event, in the log and in each book, or none."""
    pushed, seen = world()
    pushed[0] = pushed[1] = answers("a", "first", [], s0=9)
    assert judge(DUE, pushed, seen, 1).clean
    _lose_event(pushed, seen)
    assert judge(DUE, pushed, seen, 1).clean
    _write_twice(pushed, seen)
    assert not judge(DUE, pushed, seen, 1).clean


def test_a_copy_of_the_same_event_is_no_double() -> None:
    """The broker may hold an event twice under one identity; readers know it by that."""
    pushed, seen = world()
    seen.copies = 3
    assert judge(DUE, pushed, seen, 1).clean

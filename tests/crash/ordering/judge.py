"""Judges a run of ordered subscriptions by books of outsiders, knowing only what hocket promises. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.crash.ordering.services import QUEUES, is_poison

#: Findings printed of each kind.
SHOWN = 10


@dataclass(slots=True)
class Books:
    """What was found: calls and effects as they came, events of the log, letters."""

    calls: Sequence[tuple[str, str, str]]  # what, name, key
    effects: Sequence[tuple[str, str]]  # name, what
    kept: Mapping[str, int]  # how many events `account.kept` of a name
    letters: Iterable[tuple[str, str, str]]  # subscription, cause, name
    taken: Sequence[str]  # names as the broker took them, by the log


@dataclass(slots=True)
class Verdict:
    """What follows from it."""

    kills: int
    events: int = 0
    calls: int = 0
    repeated: int = 0
    late: int = 0  # calls that came again after a later one: of a run whose process was replaced
    letters: int = 0
    otherwise: int = 0  # events that the broker took before one that was said earlier: by another life of the teller
    disorder: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.disorder or self.lost or self.doubled or self.strange)

    def lines(self) -> list[str]:
        """All that is to be said; the last line is the verdict."""
        said: list[str] = []
        for name in ("disorder", "lost", "doubled", "strange"):
            found = getattr(self, name)
            said += [f"{name}: {each}" for each in found[:SHOWN]]
            said += [f"{name}: and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        said.append(
            f"kills {self.kills} events {self.events} out of order {len(self.disorder)} lost {len(self.lost)} doubled "
            f"{len(self.doubled)} strange {len(self.strange)}; calls {self.calls}, repeated {self.repeated}, of them "
            f"by a replaced process {self.late}; letters {self.letters}, taken otherwise than said {self.otherwise}"
        )
        return said


def account_of(sale: str) -> str:
    """The account that a name is about."""
    return sale.rpartition(".")[0]


def judge(said: Mapping[str, Sequence[str]], books: Books, kills: int) -> Verdict:
    """Compare the books with what was said, by account, in the order in which the broker took it.

    That is what is promised: what one life of a process could not send any more may be taken behind what the next says.
    """
    verdict = Verdict(kills, events=sum(map(len, said.values())), calls=len(books.calls))
    names = {sale for some in said.values() for sale in some}
    place = {sale: n for n, sale in enumerate(books.taken)}
    verdict.lost += [f"event {sale}" for sale in sorted(names - set(place))]
    others = {sale for _, sale, _ in books.calls} | {sale for sale, _ in books.effects}
    place = dict.fromkeys(sorted(names | others), len(place)) | place
    verdict.otherwise = _taken_otherwise(said, place)
    _order_of_calls(verdict, books.calls, place)
    _order_of_effects(verdict, books.effects, place)
    effects, called = Counter(books.effects), {(what, sale) for what, sale, _ in books.calls}
    for sale in sorted(names):
        for what in QUEUES:
            if (what, sale) not in called:
                verdict.lost.append(f"call {what} of {sale}")
            due = 0 if what == "leave" and is_poison(sale, what) else 1
            found = books.kept.get(sale, 0) if what == "keep" else effects[sale, what]
            _count(verdict, found, due, f"effect {what} of {sale}")
    _letters(verdict, books, names)
    strangers = {sale for _, sale, _ in books.calls} | {sale for sale, _ in books.effects} | set(books.kept)
    verdict.strange += [f"{sale} was never said" for sale in sorted(strangers - names)]
    return verdict


def _order_of_calls(verdict: Verdict, calls: Iterable[tuple[str, str, str]], place: Mapping[str, int]) -> None:
    """The first call of each event comes after the first of the one before; what comes again has the same key."""
    keys: dict[tuple[str, str], str] = {}
    last: dict[tuple[str, str], str] = {}
    for what, sale, key in calls:
        first, before = (what, sale) not in keys, last.get((what, account_of(sale)), sale)
        earlier = place[sale] < place[before]
        if first and earlier:
            verdict.disorder.append(f"call {what}: {sale} after {before}")
        if not first:
            verdict.repeated += 1
            verdict.late += earlier
        if keys.setdefault((what, sale), key) != key:
            verdict.strange.append(f"call {what} of {sale} came under two keys")
        last[what, account_of(sale)] = before if earlier else sale


def _order_of_effects(verdict: Verdict, effects: Iterable[tuple[str, str]], place: Mapping[str, int]) -> None:
    last: dict[tuple[str, str], str] = {}
    for sale, what in effects:
        before = last.get((what, account_of(sale)), sale)
        if place[sale] < place[before]:
            verdict.disorder.append(f"effect {what}: {sale} after {before}")
        else:
            last[what, account_of(sale)] = sale


def _taken_otherwise(said: Mapping[str, Sequence[str]], place: Mapping[str, int]) -> int:
    """How many events the broker took before one that was said earlier of the same account."""
    pairs = [pair for some in said.values() for pair in pairwise(some)]
    return sum(place[one] > place[other] for one, other in pairs)


def _letters(verdict: Verdict, books: Books, names: Iterable[str]) -> None:
    found = Counter(books.letters)
    due = {(queue, "Poison", sale) for sale in names for what, queue in QUEUES.items() if is_poison(sale, what)}
    verdict.letters = sum(found.values())
    for each in sorted(set(found) | due):
        queue, cause, sale = each
        _count(verdict, found[each], int(each in due), f"letter of {queue} for {sale}, cause {cause}")


def _count(verdict: Verdict, found: int, due: int, what: str) -> None:
    if found < due:
        verdict.lost.append(what)
    elif found > due:
        (verdict.doubled if due else verdict.strange).append(f"{what}: {found} times")

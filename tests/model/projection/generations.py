# long: one model, its states and its moves
"""RULES 14 as a state graph driven by the product's own decisions: a read model is rebuilt beside the one that serves.

`hocket.delivery.projecting.generations` decides what is begun, swapped in, dropped and read. That a generation hears
everything once is the model of backfills; here each event is under way to each generation that is bound, and comes in
any order. Each transaction is one move. One client reads again and again and must never see less than before; it says
event 3 and asks for it by its token. A fail-over may lose the last transaction: what that had applied comes again, a
swap does not. In scopes with `tries` two processes swap in steps: watch, compare without a lock, decide under it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from hocket.delivery.projecting import generations as product
from hocket.delivery.projecting.generations import Generation, GenerationState
from tests.model.explorer import assign

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "apart": "RULES 14.1: a generation is built in tables of its own, never in place",
    "superset": "RULES 14.2: it serves when it has handled all that the one before has; an empty queue is no proof",
    "lock": "RULES 14.2: the last comparison and the swap are one transaction that commits of the one before wait for",
    "watch": "RULES 14.2: what is handled while all is compared is noted, and compared under the lock",
    "number": "RULES 14.2: a watch that another process has ended proves nothing",
    "same": "RULES 14.5: only what is still being built is swapped in",
    "grace": "RULES 14.4: no queue is removed on the strength of a young transaction",
    "inbox": "RULES 14.1: each generation has its own inbox keys, so nothing is applied twice",
    "snapshot": "RULES 14.6: which generation serves and its rows are read in one snapshot",
    "token": "RULES 14.7: a reader with a token waits until the generation has what it said",
}
#: Events that can be said, and the one that the client says.
EVENTS, OWN = 3, 3
#: Generations that there can be.
MOST = 3

Events = tuple[int, ...]
T = TypeVar("T", int, tuple[int, int])


class Db(NamedTuple):
    """What stands in the database."""

    rows: tuple[Generation, ...]
    applied: tuple[Events, ...]  # by generation: the events in its tables
    fresh: Events = ()  # what the watched one has handled since it is watched


class Try(NamedTuple):
    """How far one process is with swapping a generation in."""

    n: int = 0
    number: int = 0  # of the watch
    compared: bool = False


class State(NamedTuple):
    """Everything that decides what may happen next."""

    db: Db
    before: Db  # as the standby has it: without the last transaction
    bound: Events  # generations whose queue is bound
    way: tuple[tuple[int, int], ...]  # (generation, event) under way
    dead: tuple[tuple[int, int], ...] = ()  # (generation, event): a letter is open
    said: int = 2
    swaps: tuple[Try, Try] = (Try(), Try())
    reading: int = 0  # generation whose name the client has read, 0 none
    seen: Events = (1,)
    asked: bool = False  # it has read with its token
    failed_over: bool = False  # a transaction was lost: the client may see less than before, once
    rollouts: int = 0
    deaths: int = 0
    failovers: int = 0
    copies: int = 0
    tries: int = 0
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope; `without` are rules that are left out."""

    rollouts: int = 0
    deaths: int = 0
    failovers: int = 0
    copies: int = 0
    tries: int = 0
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """The first generation serves and has one event."""
        one = Generation("view", 1, 1, GenerationState.SERVING)
        db = Db((one,), ((1,), (), ()))
        return State(
            db, db, (1,), ((1, 2),), rollouts=self.rollouts, deaths=self.deaths, failovers=self.failovers,
            copies=self.copies, tries=self.tries,
        )  # fmt: skip

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        """Every next state; a move in brackets may or may not ever happen."""
        for label, t in self._all(s):
            if t != s:
                yield label, t

    def wrong(self, s: State) -> str:
        """What must not be."""
        now = product.serving(s.db.rows)
        if s.wrong:
            return s.wrong
        if now is None:
            return "nothing serves"
        if now.n not in s.bound:
            return f"{now.n} serves and hears nothing any more"
        if any(label[0] != "(" for label, _ in self.moves(s)):
            return ""
        return self._at_rest(s, now.n)

    def _at_rest(self, s: State, now: int) -> str:
        if any(e not in s.db.applied[now - 1] and (now, e) not in s.dead for e in range(1, s.said + 1)):
            return f"a gap: {now} serves and lacks something"
        if not s.asked:
            return "the token was never answered"
        newest = max(each.n for each in s.db.rows if each.live)
        if newest != now and not self.tries and not any(n == newest for n, _ in s.dead):
            return f"{newest} never serves"
        return ""

    def _all(self, s: State) -> Iterator[tuple[str, State]]:
        yield from self._events(s)
        yield from self._rollouts(s)
        yield from self._steps(s) if self.tries else self._swaps(s)
        yield from self._ends(s)
        yield from self._reads(s)
        if s.failovers and s.db != s.before:
            yield "(fail-over, the last transaction is lost)", self._failed_over(s)

    # -- events ------------------------------------------------------------------------------------------------------

    def _events(self, s: State) -> Iterator[tuple[str, State]]:
        if s.said < EVENTS:
            yield f"{s.said + 1} is said", _say(s, s.said + 1)
        if s.copies:
            yield "(1 is said again)", _say(s, 1)._replace(copies=0)
        for n, event in s.way:
            t = s._replace(way=_without(s.way, (n, event)))
            row = _row(s.db, n)
            if row is None or not row.live:
                continue
            if event in s.db.applied[n - 1]:
                known = t if "inbox" not in self.without else _bad(t, f"{event} twice in {n}")
                yield f"{n} has seen {event}", known
                continue
            yield f"{n} applies {event}", self._applied(s, t, row, event)
            if s.deaths and n == 2 and event < OWN:
                yield f"({event} dies in {n})", t._replace(deaths=s.deaths - 1, dead=_with(s.dead, (n, event)))
        for n, event in s.dead:
            t = s._replace(dead=_without(s.dead, (n, event)), way=_with(s.way, (n, event)))
            yield f"a person replays {event} in {n}", t

    def _applied(self, s: State, t: State, row: Generation, event: int) -> State:
        now = product.serving(s.db.rows)
        target = now.n if "apart" in self.without and now is not None else row.n
        applied = assign(s.db.applied, target - 1, _with(s.db.applied[target - 1], event))
        noted = row.watched > 0 and "watch" not in self.without
        fresh = _with(s.db.fresh, event) if noted else s.db.fresh
        return _commit(t, s.db._replace(applied=applied, fresh=fresh))

    # -- generations ---------------------------------------------------------------------------------------------------

    def _rollouts(self, s: State) -> Iterator[tuple[str, State]]:
        newest = max(each.n for each in s.db.rows)
        if newest == 1:
            yield "version 2 is declared", self._declared(s, 2)
        elif newest == 2 and s.rollouts:
            yield "(version 3 is declared)", self._declared(s._replace(rollouts=0), 3)
        elif newest == 2 and 3 in s.bound:
            yield "version 3 is declared again", self._declared(s, 3)  # at the next start, where it was lost

    def _declared(self, s: State, version: int) -> State:
        made = Generation("view", 0, version, GenerationState.BUILDING)
        changed = product.declared(s.db.rows, made)
        db, way, bound = s.db._replace(rows=_changed(s.db.rows, changed)), s.way, s.bound
        for each in changed:
            if not each.live and "grace" in self.without:
                bound, way = _without(bound, each.n), tuple(one for one in way if one[0] != each.n)
        n = changed[-1].n
        now = product.serving(s.db.rows)
        if "apart" in self.without and now is not None:  # rebuilt in place: emptied first
            db = db._replace(applied=assign(db.applied, now.n - 1, ()))
            way = tuple(sorted({*way, *((now.n, event) for event in range(1, s.said + 1))}))
        way = tuple(sorted({*way, *((n, event) for event in range(1, s.said + 1))}))
        return _commit(s, db)._replace(bound=_with(bound, n), way=way)

    def _complete(self, s: State, n: int) -> bool:
        now = product.serving(s.db.rows)
        if "superset" in self.without:
            return not any(one[0] == n for one in s.way)
        return now is None or set(s.db.applied[now.n - 1]) <= set(s.db.applied[n - 1])

    def _swapped(self, s: State, n: int, *, complete: bool) -> State:
        rows = s.db.rows
        row = _row(s.db, n)
        if "same" in self.without and row is not None and row.state is GenerationState.DROPPED:
            rows = _changed(rows, [row._replace(state=GenerationState.BUILDING)])
            rows = tuple(e._replace(state=GenerationState.DROPPED) if e.n > n else e for e in rows)
        changed = product.swapped(rows, n, complete)
        if not changed:
            return s
        t = _commit(s, s.db._replace(rows=_changed(rows, changed), fresh=()))
        if "grace" in self.without:
            for each in changed:
                if each.state is GenerationState.OLD:
                    t = _removed(t._replace(db=t.db._replace(rows=_dropped(t.db.rows, each.n))), each.n)
        return t

    def _swaps(self, s: State) -> Iterator[tuple[str, State]]:
        """The swap as one transaction that compares all."""
        for n in (2, 3):
            if _row(s.db, n) is not None and self._complete(s, n):
                yield f"{n} is complete and is swapped in", self._swapped(s, n, complete=True)

    def _steps(self, s: State) -> Iterator[tuple[str, State]]:
        """The swap as it is done: watched, compared without a lock, decided under it."""
        for i in (0, 1):
            one, who = s.swaps[i], "AB"[i]
            old = product.serving(s.db.rows)
            new = product.building(s.db.rows)
            if old is None:
                continue
            if not one.n and s.tries and new is not None and product.may_swap(s.db.rows, new.n):
                watched = product.watched(old)
                fresh = s.db.fresh if old.watched > 0 else ()
                db = s.db._replace(rows=_changed(s.db.rows, [watched]), fresh=fresh)
                t = _commit(s, db) if db != s.db else s
                swaps = _tried(s.swaps, i, Try(new.n, watched.watched))
                yield f"({who} watches)", t._replace(tries=s.tries - 1, swaps=swaps)
            elif one.n and not one.compared:
                if self._complete(s, one.n):
                    yield (
                        f"{who} finds {one.n} complete",
                        s._replace(swaps=_tried(s.swaps, i, one._replace(compared=True))),
                    )
                else:
                    yield f"{who} finds {one.n} incomplete", self._unwatched(s, i, old)
            elif one.n:
                yield f"{who} decides", self._decided(s, i, old)

    def _unwatched(self, s: State, i: int, old: Generation) -> State:
        t = s._replace(swaps=_tried(s.swaps, i, Try()))
        if old.watched != s.swaps[i].number:
            return t
        return _commit(t, s.db._replace(rows=_changed(s.db.rows, [product.unwatched(old)]), fresh=()))

    def _decided(self, s: State, i: int, old: Generation) -> State:
        one = s.swaps[i]
        done = s._replace(swaps=_tried(s.swaps, i, Try()))
        if not product.may_swap(s.db.rows, one.n) or (old.watched != one.number and "number" not in self.without):
            return done
        if "lock" not in self.without and not set(s.db.fresh) <= set(s.db.applied[one.n - 1]):
            return self._unwatched(s, i, old)
        return self._swapped(done, one.n, complete=True)

    def _ends(self, s: State) -> Iterator[tuple[str, State]]:
        if "grace" in self.without:
            return
        for each in product.over(s.db.rows, 1.0, 0.0):
            yield f"the grace of {each.n} is over", _commit(s, s.db._replace(rows=_dropped(s.db.rows, each.n)))
        old = {each.n for each in product.removable(s.before.rows, 1.0, 0.0)}
        for each in product.removable(s.db.rows, 1.0, 0.0):
            if each.n in s.bound and each.n in old:  # it was dropped long ago
                yield f"the queue of {each.n} is removed", _removed(s, each.n)

    def _failed_over(self, s: State) -> State:
        way = set(s.way)
        for n in s.bound:
            way |= {(n, event) for event in s.db.applied[n - 1] if event not in s.before.applied[n - 1]}
        return s._replace(
            db=s.before, failovers=0, failed_over=True, way=tuple(sorted(way)), swaps=(Try(), Try()), reading=0
        )

    # -- reads -------------------------------------------------------------------------------------------------------

    def _reads(self, s: State) -> Iterator[tuple[str, State]]:
        now = product.read_by(s.db.rows, MOST)
        if now is None:
            return
        if "snapshot" in self.without:
            if not s.reading:
                yield "the client reads which generation serves", s._replace(reading=now.n)
            else:
                yield f"the client reads {s.reading}", _read(s, s.reading, token=False)
        elif s.seen != s.db.applied[now.n - 1]:
            yield "the client reads", _read(s, now.n, token=False)
        if s.said == EVENTS and not s.asked and (OWN in s.db.applied[now.n - 1] or "token" in self.without):
            yield "the client reads with its token", _read(s, now.n, token=True)


def _read(s: State, n: int, *, token: bool) -> State:
    rows, row = s.db.applied[n - 1], _row(s.db, n)
    t = s._replace(reading=0, asked=s.asked or token)
    if row is None or not row.live:
        return _bad(t, "read a table that is dropped")
    if not set(s.seen) <= set(rows) and not s.failed_over:
        return _bad(t, "a read went back")
    if token and OWN not in rows:
        return _bad(t, "did not read its own write")
    return t._replace(seen=rows, failed_over=False)


def _say(s: State, event: int) -> State:
    return s._replace(said=max(s.said, event), way=tuple(sorted({*s.way, *((n, event) for n in s.bound)})))


def _commit(s: State, db: Db) -> State:
    return s._replace(before=s.db, db=db)


def _removed(s: State, n: int) -> State:
    return s._replace(bound=_without(s.bound, n), way=tuple(one for one in s.way if one[0] != n))


def _row(db: Db, n: int) -> Generation | None:
    return next((each for each in db.rows if each.n == n), None)


def _changed(rows: tuple[Generation, ...], changed: list[Generation]) -> tuple[Generation, ...]:
    by_number = {each.n: each for each in (*rows, *changed)}
    return tuple(by_number[n] for n in sorted(by_number))


def _dropped(rows: tuple[Generation, ...], n: int) -> tuple[Generation, ...]:
    return tuple(e._replace(state=GenerationState.DROPPED) if e.n == n else e for e in rows)


def _bad(s: State, why: str) -> State:
    return s._replace(wrong=s.wrong or why)


def _tried(swaps: tuple[Try, Try], i: int, one: Try) -> tuple[Try, Try]:
    return (one, swaps[1]) if i == 0 else (swaps[0], one)


def _with(several: tuple[T, ...], one: T) -> tuple[T, ...]:
    every = [each for each in several if each != one]
    every.append(one)
    return tuple(sorted(every))


def _without(several: tuple[T, ...], one: T) -> tuple[T, ...]:
    return tuple(each for each in several if each != one)


REBUILD, SUPERSEDED, DEATH = (
    "a rebuild during live events",
    "a version that is superseded",
    "an event dies in the new one",
)
FAIL_OVER, STEPS = "a fail-over at any moment", "two processes swap in steps"


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scope]:
    """The scopes of the suite."""
    return {
        REBUILD: Scope(copies=1, without=without),
        DEATH: Scope(deaths=1, copies=1, without=without),
        FAIL_OVER: Scope(failovers=1, copies=1, without=without),
        STEPS: Scope(tries=2, without=without),
    }


def whole(without: frozenset[str]) -> Mapping[str, Scope]:
    """The whole scopes."""
    return {
        **small(without),
        SUPERSEDED: Scope(rollouts=1, copies=1, without=without),
        "two processes, three tries, an event that dies": Scope(tries=3, deaths=1, without=without),
        "superseded, a death, a fail-over": Scope(rollouts=1, deaths=1, failovers=1, without=without),
    }

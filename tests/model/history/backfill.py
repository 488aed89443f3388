"""RULES 7.5 as a state graph driven by the product's own functions: `hocket.streams.backfill.state` decides each move.

One process says 1, 2, 3 of one subject, each after the confirm of the one before; 1 stands in the log already. Another
says 7. A publish is routed at one moment and reaches the log and, if the queue was bound at that moment, the queue,
each at a moment of its own; it is confirmed when both have it. A confirm may be lost: a copy is said. A `late` publish
is still on its way to the log when the wait is over. Two replicas; each transaction, read, publish and ack is one move;
a crash, or a reader that pauses beyond its lease, may come between any two. Retention may cut the log, and the log may
be deleted and made again, once the backfill has noted where it begins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hocket.streams.backfill.state import (
    Backfill,
    Phase,
    accepted,
    begun_again,
    broken,
    compare,
    cut_over,
    read_to,
    shorter,
)
from hocket.streams.gap import Kind
from tests.model.explorer import assign, put, take

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "bind": "RULES 7.5: the queue is bound before the log is marked",
    "wait": "RULES 7.5: the marker comes so long after the binding that earlier publishes stand before it",
    "gate": "RULES 7.5: the queue is consumed only when the marker is folded",
    "inbox": "RULES 7.5: one inbox serves history and the queue",
    "offset": "RULES 7.5: the place is written with or after what it covers",
    "patrol": "RULES 7.5: after the cut-over the log is compared with the inbox",
    "compare": "RULES 7.5: who goes on at n asks for n-1 and compares",
}
MARKER = 100  # and above: each backfill, and each that a person let go on, has its own
OTHER = 7


class Sent(NamedTuple):
    """A publish on its way."""

    event: int
    before: bool  # routed before the queue was bound
    late: bool
    to_log: bool  # still to reach it
    to_queue: bool


class Replica(NamedTuple):
    """One process."""

    token: int = 0  # 0: not the reader
    said: bool = False  # it has said a marker
    read: tuple[int, int] | None = None  # offset and event that it has read and not committed
    hand: int = 0  # event from the queue, 0: none
    ended: bool = False  # committed, and not acked


class State(NamedTuple):
    """Everything that decides what may happen next. An event of the log is None where retention has cut it."""

    log: tuple[int | None, ...] = (1,)
    queue: tuple[int, ...] = ()
    sent: tuple[Sent, ...] = ()
    bound: bool = False
    said: int = 1  # how far the ordered process has come
    other: bool = False  # `OTHER` is said
    row: Backfill | None = None
    token: int = 0
    inbox: tuple[int, ...] = ()
    effects: tuple[int, ...] = ()
    replicas: tuple[Replica, ...] = (Replica(), Replica())
    gap: bool = False  # a person has accepted that history is missing
    excused: bool = False  # an event was late, or the log another: order is not promised
    crashes: int = 0
    pauses: int = 0
    copies: int = 0
    lates: int = 0
    cuts: int = 0
    remakes: int = 0
    bad_move: str = ""  # what must not be, found in a move


Step = tuple[str, State]


@dataclass(frozen=True)
class Scenario:
    """How often each kind of harm may happen."""

    other: bool = False
    crashes: int = 1
    pauses: int = 0
    copies: int = 0
    lates: int = 0
    cuts: int = 0
    remakes: int = 0
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """The log holds 1, and the subscription is new."""
        return State(
            crashes=self.crashes, pauses=self.pauses, copies=self.copies, lates=self.lates, cuts=self.cuts,
            remakes=self.remakes,
        )  # fmt: skip

    def moves(self, state: State) -> Iterator[Step]:
        """Every next state, with the name of the move; what need not happen stands in brackets."""
        yield from _said(self, state)
        yield from _harm(state)
        for at in range(len(state.replicas)):
            yield from _takes_over(state, at)
            yield from _reads(self, state, at)
            yield from _consumes(self, state, at)

    def wrong(self, state: State) -> str:
        """What must not be in this state; "": nothing."""
        if state.bad_move or any(not label.startswith("(") for label, _ in self.moves(state)):
            return state.bad_move
        row = state.row
        if row is None or row.phase is not Phase.LIVE:
            return f"never live: {row.phase if row else 'not begun'}"
        wanted = (1, 2, 3, OTHER) if self.other else (1, 2, 3)
        missing = [event for event in wanted if event not in state.effects]
        return f"a gap that nobody sees: {missing}" if missing and not state.gap else ""


def _name(event: int) -> str:
    return str(event) if event < MARKER else "the marker"


def _mark(event: int | None) -> str:
    return f"m{event}" if event is not None else ""


def _rep(s: State, at: int, **changes: Any) -> State:
    return s._replace(replicas=assign(s.replicas, at, s.replicas[at]._replace(**changes)))


def _first_of(s: State) -> int:
    return next((n for n, event in enumerate(s.log) if event is not None), len(s.log))


def _effect(scene: Scenario, s: State, event: int) -> State:
    if event in s.inbox and "inbox" not in scene.without:
        return s
    why = ""
    if event in s.effects:
        why = f"{event} had its effect twice"
    if event < OTHER and not s.excused and any(event < each < OTHER for each in s.effects):
        why = why or f"order broken: {event} after a later one"
    inbox = tuple(sorted({*s.inbox, event}))
    return s._replace(inbox=inbox, effects=(*s.effects, event), bad_move=s.bad_move or why)


def _publish(s: State, event: int) -> Iterator[Step]:
    for late in (False, True) if s.lates and not s.bound and event < MARKER else (False,):
        to_queue = s.bound and event < MARKER
        after = s._replace(sent=put(s.sent, Sent(event, not s.bound, late, True, to_queue)))
        if late:
            after = after._replace(lates=s.lates - 1, excused=s.excused or event < OTHER)
        yield f"{_name(event)} is said{', late' if late else ''}", after


def _said(scene: Scenario, s: State) -> Iterator[Step]:
    if s.said < 3 and all(each.event != s.said for each in s.sent):
        for label, after in _publish(s, s.said + 1):
            yield label, after._replace(said=s.said + 1)
    if scene.other and not s.other:
        for label, after in _publish(s, OTHER):
            yield label, after._replace(other=True)
    for each in sorted(set(s.sent)):
        rest = take(s.sent, each)
        if each.to_log:
            left = put(rest, each._replace(to_log=False)) if each.to_queue else rest
            yield f"the log has {_name(each.event)}", s._replace(log=(*s.log, each.event), sent=left)
        if each.to_queue:
            left = put(rest, each._replace(to_queue=False)) if each.to_log else rest
            yield f"the queue has {each.event}", s._replace(queue=(*s.queue, each.event), sent=left)
        if s.copies and each.event < MARKER:
            for label, after in _publish(s._replace(copies=s.copies - 1), each.event):
                yield f"(confirm lost: {label} again)", after


def _harm(s: State) -> Iterator[Step]:
    if s.row is None:
        return
    first = _first_of(s)
    if s.cuts and first < len(s.log) - 1:
        yield "(retention cuts the log)", s._replace(log=assign(s.log, first, None), cuts=s.cuts - 1)
    if s.remakes and s.log:
        yield "(the log is deleted and made again)", s._replace(log=(), remakes=s.remakes - 1)
    if s.row.phase is Phase.FAILED:
        anchor = _mark(s.log[first]) if first < len(s.log) else ""
        row = begun_again(accepted(s.row, str(int(s.row.id) + 1)), first, anchor)._replace(missed=0)
        replicas = tuple(each._replace(said=False) for each in s.replicas)
        yield "a person accepts the gap: it reads on", s._replace(row=row, gap=True, replicas=replicas)


def _takes_over(s: State, at: int) -> Iterator[Step]:
    who, replica = "AB"[at], s.replicas[at]
    mine = {"token": s.token + 1, "said": False, "read": None}
    if not any(each.token == s.token and each.token for each in s.replicas):
        yield f"{who} becomes the reader", _rep(s._replace(token=s.token + 1), at, **mine)
    elif s.pauses and replica.token != s.token:
        taken = _rep(s._replace(token=s.token + 1, pauses=s.pauses - 1), at, **mine)
        yield f"({who} takes over from a paused reader)", taken
    if s.crashes and replica != Replica():
        back = (replica.hand, *s.queue) if replica.hand else s.queue
        died = s._replace(crashes=s.crashes - 1, queue=back, replicas=assign(s.replicas, at, Replica()))
        yield f"({who} dies)", died


def _consumes(scene: Scenario, s: State, at: int) -> Iterator[Step]:
    who, replica = "AB"[at], s.replicas[at]
    live = (s.row is not None and s.row.phase is Phase.LIVE) or "gate" in scene.without
    if not replica.hand and s.queue and live and not any(each.hand for each in s.replicas):
        yield f"{who} takes {s.queue[0]} from the queue", _rep(s._replace(queue=s.queue[1:]), at, hand=s.queue[0])
    if replica.hand and not replica.ended:
        ended = _rep(_effect(scene, s, replica.hand), at, ended=True)
        yield f"{who} commits {replica.hand} of the queue", ended
    if replica.ended:
        yield f"{who} acks {replica.hand}", _rep(s, at, hand=0, ended=False)


def _reads(scene: Scenario, s: State, at: int) -> Iterator[Step]:
    who, replica, row, off = "AB"[at], s.replicas[at], s.row, scene.without
    if replica.read is not None and row is not None:
        yield _commits(scene, s, at, replica.read)
        return
    if not replica.token or replica.token != s.token:
        return
    if row is None:
        n = _first_of(s)
        anchor = _mark(s.log[n]) if n < len(s.log) else ""
        noted = s._replace(row=Backfill("q", "1", start=n, next=n, anchor=anchor))
        yield f"{who} notes that it reads, and from where", noted
        return
    if row.phase is Phase.READING:
        if not s.bound and "bind" not in off:
            yield f"{who} binds the queue", s._replace(bound=True)
        on_the_way = any(each.before and each.to_log and not each.late for each in s.sent if each.event < MARKER)
        if (s.bound or "bind" in off) and not replica.said and (not on_the_way or "wait" in off):
            for label, after in _publish(s, MARKER + int(row.id)):
                yield f"{who}: {label}", _rep(after, at, said=True)
        yield from _reads_on(scene, s, at, row)
    elif row.phase is Phase.LIVE and "patrol" not in off:
        yield from _patrols(scene, s, at, row)


def _commits(scene: Scenario, s: State, at: int, read: tuple[int, int]) -> Step:
    """The transaction of what was read; the inbox decides for a reader that was overtaken, its place is not written."""
    who, (offset, event), row, off = "AB"[at], read, s.row, scene.without
    assert row is not None
    label = f"{who} commits {_name(event)} of the log"
    after = _rep(s, at, read=None)
    mine = s.replicas[at].token == s.token and row.phase is Phase.READING and row.next == offset
    if event >= MARKER:
        folds = (mine or "offset" in off) and event == MARKER + int(row.id) and row.phase is Phase.READING
        if folds:
            return label, after._replace(row=cut_over(row, offset, _mark(event), 0.0), bound=True)
        return label, after._replace(row=_moved(row, offset, event) if mine else row)
    after = _effect(scene, after, event)
    return label, after._replace(row=_moved(row, offset, event) if mine else row)


def _moved(row: Backfill, offset: int, event: int) -> Backfill:
    return read_to(row, offset + 1, _mark(event), 0, 0)


def _first_from(s: State, here: int) -> tuple[int, int] | None:
    """What the broker sends first when it is asked for `here`: it begins at the first that is kept, without a word."""
    for offset in range(max(here, 0), len(s.log)):
        event = s.log[offset]
        if event is not None:
            return offset, event
    return None


def _broken(scene: Scenario, s: State, row: Backfill) -> Backfill | None:
    """RULES 7.5 d: the row that says so where the log is cut or another one."""
    if "compare" in scene.without:
        return None
    first = _first_from(s, row.here)
    if first is None:
        return broken(row, compare(row, -1, "")) if shorter(row, len(s.log)) else None
    found = compare(row, first[0], _mark(first[1]))
    return None if found.kind is Kind.SAME else broken(row, found)


def _reads_on(scene: Scenario, s: State, at: int, row: Backfill) -> Iterator[Step]:
    who = "AB"[at]
    failed = _broken(scene, s, row)
    if failed is not None:
        # of what is in the queue already a new log may hold only the later part
        other = "made anew" in failed.reason and s.bound
        yield f"{who} sees another log, or one that is cut", s._replace(row=failed, excused=s.excused or other)
        return
    first = _first_from(s, row.next)
    if first is None:
        return
    offset, event = first
    after = s
    if "offset" in scene.without:
        after = s._replace(row=_moved(row, offset, event))  # noted when read, not when done
    elif "compare" in scene.without and offset != row.next:
        after = s._replace(row=row._replace(next=offset))
    yield f"{who} reads {_name(event)}", _rep(after, at, read=first)


def _patrols(scene: Scenario, s: State, at: int, row: Backfill) -> Iterator[Step]:
    """The log check: what the inbox lacks is sent to the queue once nothing of it can be on its way there."""
    who = "AB"[at]
    if _broken(replace(scene, without=scene.without - {"compare"}), s, row) is not None:
        row = row._replace(start=0, next=_first_of(s), anchor="", mark="")
    first = _first_from(s, row.next)
    if first is None:
        return
    offset, event = first
    if event >= MARKER or event in s.inbox:
        yield f"{who} finds {_name(event)} of the log handled", s._replace(row=_moved(row, offset, event))
    elif not s.queue and all(each.hand != event for each in s.replicas):
        yield f"{who} sends {event} to the queue", s._replace(row=row, queue=(event,))


def whole(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """The scopes that `python -m tests.model` visits."""
    every = {
        "live events": Scenario(other=True),
        "a copy, a pause": Scenario(crashes=0, pauses=1, copies=1),
        "a late publish": Scenario(lates=1),
        "retention": Scenario(cuts=1),
        "made again": Scenario(remakes=1),
    }
    return {name: replace(scene, without=without) for name, scene in every.items()}


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Smaller scopes, for each run of the tests."""
    fewer: dict[str, dict[str, Any]] = {
        "live events": {"other": False},
        "a copy, a pause": {"copies": 0},
        "retention": {"crashes": 0},
        "made again": {"crashes": 0},
    }
    return {name: replace(scene, **fewer.get(name, {})) for name, scene in whole(without).items()}

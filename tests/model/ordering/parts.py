"""The state of the model of ordered subscriptions, and the product's decisions applied to it."""

from typing import Any, NamedTuple

from hocket.broker.port import Delivery, Handle
from hocket.delivery.ordering.ending import change_of
from hocket.delivery.ordering.gather import in_order
from hocket.delivery.ordering.turn import Seat, Turn, seat_of
from hocket.outcome import Again, Bury, Done, Outcome
from hocket.store.ordering.lines import Line, Lines
from hocket.store.records import InboxRow, InboxState, LineChange, OrderedWrite, OutboxRow, RowKind

#: Deliveries that a replica has in hand.
PREFETCH = 2
#: Attempts before the letter.
BUDGET = 2


class Sent(NamedTuple):
    """A delivery: of which event, its attempt, "", "replay" or "discard", and how often it came back."""

    event: int
    attempt: int
    kind: str = ""
    back: int = 0


class Replica(NamedTuple):
    """One process; `held` is (delivery, "buffered" | "running" | "committed") in order."""

    held: tuple[tuple[Sent, str], ...] = ()
    token: int = 0
    fresh: bool = True  # its channel is new: it gathers, and works on nothing yet
    seen: int = -1  # the token that it read before it asked the broker whether its channel still counts
    orphan: bool = False  # the broker has taken the queue from it; it does not know
    lines: tuple[str, ...] = ()  # subjects it knows to have a line, kept in memory


class State(NamedTuple):
    """Everything that decides what may happen next."""

    ready: tuple[Sent, ...]
    crashes: int
    handovers: int
    fails: int
    persons: int  # replays and discards left
    copies: int
    back: tuple[Sent, ...] = ()  # returned, delivered before `ready`
    active: int = 0
    replicas: tuple[Replica, ...] = (Replica(), Replica())
    token: int = 0  # in the store: whose commits count
    inbox: tuple[tuple[int, tuple[str, int, int]], ...] = ()  # by event: state, attempt, attempt of the last death
    lines: tuple[tuple[str, tuple[int, ...]], ...] = ()  # in the store, the head first
    outbox: tuple[Sent, ...] = ()  # self-addressed: retries and releases
    effects: tuple[int, ...] = ()
    let_go: tuple[int, ...] = ()
    letters: tuple[int, ...] = ()
    wrong: str = ""


def subject(event: int) -> str:
    """Events 1, 2, 3 are of subject a; 9 is of subject b and never fails."""
    return "b" if event == 9 else "a"


def key(event: int) -> bytes:
    """The inbox key of an event."""
    return bytes([event])


def get(pairs: Any, name: Any, default: Any) -> Any:
    """A value of a state's pairs."""
    return dict(pairs).get(name, default)


def with_(pairs: Any, name: Any, value: Any) -> Any:
    """The pairs with this one; an empty one is gone."""
    changed = dict(pairs)
    changed[name] = value
    if value == ():
        del changed[name]
    return tuple(sorted(changed.items()))


def row(state: State, event: int) -> tuple[str, int, int]:
    """State, attempt and base of an event's inbox row."""
    found: tuple[str, int, int] = get(state.inbox, event, ("", 0, 0))
    return found


def inbox_row(state: State, event: int) -> InboxRow | None:
    """The same as the product reads it."""
    word, attempt, base = row(state, event)
    return InboxRow(key(event), "", "", InboxState(word), attempt, base) if word else None


def line(state: State, event: int) -> Line | None:
    """The line of an event's subject, as the product reads it."""
    stands = get(state.lines, subject(event), ())
    if not stands:
        return None
    death = "death" if row(state, stands[0])[0] == "dead" else ""
    return Line(key(stands[0]), death, len(stands) - 1)


def seat(state: State, sent: Sent, known: tuple[str, ...]) -> Seat:
    """Where the product lets a delivery go whose turn has come; `known` are the subjects known to have a line."""
    has = line(state, sent.event) if subject(sent.event) in known else None
    return seat_of(inbox_row(state, sent.event), key(sent.event), has, "death" if sent.kind == "discard" else "")


def changed(state: State, sent: Sent, outcome: Outcome, skip: bool, where: Seat, known: tuple[str, ...]) -> LineChange:
    """What the product does to the line where a run ends so."""
    lined = subject(sent.event) in known
    turn = Turn("", 0, subject(sent.event), 0, skip, lambda: lined, lambda: 0, seat=where)
    turn.discard = "death" if sent.kind == "discard" else ""
    return change_of(outcome, inbox_row(state, sent.event), turn)


def apply(state: State, event: int, change: LineChange, *, sends: bool = True) -> State:
    """The line after an ending, and what the store sends, as the product's stores do it."""
    slot, stands = ("", subject(event)), get(state.lines, subject(event), ())
    if change is LineChange.NONE:
        return state
    following = {slot: _parked(stands[1])} if len(stands) > 1 else {}
    has = line(state, event)
    lines = Lines({slot: has} if has is not None else {}, following, frozenset(("", key(each)) for each in stands[1:]))
    parked = _parked(event) if change is LineChange.PARK else None
    sent = lines.apply(OrderedWrite("", 0, change, subject(event), key(event), parked=parked))
    if lines.parked:
        stands = (*stands, event)
    elif slot in lines.touched:
        after = lines.touched[slot]
        stands = () if after is None else stands[1:] if sent is not None else stands or (event,)
    state = state._replace(lines=with_(state.lines, subject(event), stands))
    if sent is not None and sends:
        released = sent.inbox_key[0]
        state = state._replace(outbox=put(state.outbox, Sent(released, row(state, released)[1] + 1)))
    return state


def _parked(event: int) -> OutboxRow:
    return OutboxRow(RowKind.SELF, None, 0.0, inbox_key=key(event))  # type: ignore[arg-type]  # nobody reads its message


def sort(held: tuple[tuple[Sent, str], ...]) -> tuple[tuple[Sent, str], ...]:
    """What was gathered, in the product's order."""
    deliveries = [
        Delivery("", Handle(1, at), b"", headers={"x-delivery-count": each[0].back}) for at, each in enumerate(held)
    ]
    return tuple(held[each.handle.tag] for each in in_order(deliveries))


def put(among: tuple[Any, ...], one: Any) -> tuple[Any, ...]:
    """One more, in no order."""
    return tuple(sorted((*among, one)))


def drop(among: tuple[Any, ...], one: Any) -> tuple[Any, ...]:
    """One fewer."""
    left = list(among)
    left.remove(one)
    return tuple(left)


def rep(state: State, at: int, **changes: Any) -> State:
    """One replica changes."""
    replicas = list(state.replicas)
    replicas[at] = replicas[at]._replace(**changes)
    return state._replace(replicas=tuple(replicas))


#: How a run ends, as the product names it.
HANDLES, FAILS, DIES = Done(), Again(None), Bury("failed")  # type: ignore[arg-type]  # nobody waits here

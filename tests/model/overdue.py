"""RULES 5.7 as a state graph driven by the product's own functions: those of `hocket.saga.overdue` decide each move.

One time-out of one scope. One service, two replicas with two deliveries in hand each, one queue in order. A1 and A2 arm
(two keys), U answers, W1 and W2 arm and answer (a watch), C is what the time-out itself has said and hears again, T is
the alarm that the service sends to itself. Each transaction, publish and acknowledgement is one move; a crash or a
pause beyond the lease may come between any two, and then the delivery comes again, in front. That a period is over is a
move of its own: the clock is the store's.

Left out: retries of a fired period, two orders of commits that lose by their version (the store decides them again).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hocket.saga.overdue import TimerRow, TimerState, Word, call, fire, hear, periods
from tests.model.explorer import assign, put

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "mark": "RULES 5.7: an answer that finds nothing armed leaves a mark",
    "row": "RULES 5.7: the alarm asks the row whether it was answered meanwhile",
    "generation": "RULES 5.7: the alarm of an earlier period is void",
    "queue": "RULES 5.7: what is due is not decided before its alarm has taken its place in the queue",
    "park": "RULES 5.7: an alarm waits while this process has an arming or an answer in hand",
    "again": "RULES 5.7: an alarm that was admitted runs again by its inbox row, whatever its time-out has become",
    "inbox": "RULES 3.1: the inbox row decides which run of an alarm wins",
    "own": "RULES 5.7: what a time-out has said itself is no answer",
}
BLANK = TimerRow(b"run", "flow", "orders.unpaid", "order/1", TimerState.MARK)
WATCH, OWN = "W", "C"


class Message(NamedTuple):
    """A delivery; `n` is the period of an alarm; "u": an answer that stood there when the alarm was called."""

    what: str
    n: int = 0


class Hand(NamedTuple):
    """What a replica has in hand; `live` False: paused beyond its lease, it goes on late."""

    message: Message
    live: bool = True


class State(NamedTuple):
    """Everything that decides what may happen next."""

    coming: tuple[str, ...]
    queue: tuple[Message, ...] = ()
    hands: tuple[Hand | None, ...] = (None,) * 4  # two of each replica
    row: TimerRow | None = None
    ripe: bool = False
    outbox: tuple[int, ...] = ()
    inbox: tuple[Message, ...] = ()  # what has ended; "t": an alarm that was admitted
    said: int = 0
    answered: bool = False  # in time
    late: str = ""
    bad_move: str = ""  # what must not be, found in a move
    crashes: int = 0
    pauses: int = 0
    copies: int = 0


Step = tuple[str, State]


@dataclass(frozen=True)
class Scenario:
    """What comes, and how often each kind of harm may happen."""

    coming: tuple[str, ...] = ("A1", "A1", "U", "U")
    crashes: int = 1
    pauses: int = 1
    copies: int = 1
    own: bool = False
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """Nothing has arrived."""
        return State(self.coming, crashes=self.crashes, pauses=self.pauses, copies=self.copies)

    def moves(self, state: State) -> Iterator[Step]:
        """Every next state, with the name of the move."""
        yield from _arrivals(self, state)
        for at, hand in enumerate(state.hands):
            if hand is None:
                yield from _takes(self, state, at)
            else:
                yield from _ends(self, state, at, hand)

    def wrong(self, state: State) -> str:
        """What must not be in this state; "": nothing."""
        return _wrong(self, state)


def _kept(row: TimerRow | None) -> TimerRow | None:
    """The row without what only tells one writing from another."""
    return row and replace(row, version=0, due=0.0, wait=0.0)


def _arrivals(scene: Scenario, s: State) -> Iterator[Step]:
    for what in sorted(set(s.coming)):
        yield f"{what} arrives", s._replace(coming=take_text(s.coming, what), queue=(*s.queue, Message(what)))
    armed = s.row is not None and s.row.state is TimerState.ARMED
    if armed and not s.ripe:
        yield "the period is over", s._replace(ripe=True)
    if armed and s.ripe and s.row is not None:
        marked = [_stood(each) for each in s.queue]
        hands = [each and each._replace(message=_stood(each.message)) for each in s.hands]
        after = s._replace(
            row=_kept(call(s.row)), outbox=put_number(s.outbox, s.row.n), queue=tuple(marked), hands=tuple(hands)
        )
        yield "a replica calls the alarm", _fired(after, None) if "queue" in scene.without else after
    for n in s.outbox:
        after = s._replace(queue=(*s.queue, Message("T", n)))
        outbox = list(s.outbox)
        outbox.remove(n)
        yield "the relay sends the alarm", after._replace(outbox=tuple(outbox))
        if s.copies:
            yield "the relay sends the alarm, confirm unknown", after._replace(copies=s.copies - 1)


def _stood(message: Message) -> Message:
    return Message("u") if message.what == "U" else message


def take_text(bag: tuple[str, ...], one: str) -> tuple[str, ...]:
    """The bag with one less of these in it."""
    at = bag.index(one)
    return bag[:at] + bag[at + 1 :]


def put_number(bag: tuple[int, ...], one: int) -> tuple[int, ...]:
    """The bag with one more in it."""
    return tuple(sorted((*bag, one)))


def _beside(s: State, at: int) -> list[str]:
    """What else the same replica has in hand that arms or answers; a late hand was given to another."""
    beside = [each for n, each in enumerate(s.hands) if each and n // 2 == at // 2 and n != at]
    return [each.message.what for each in beside if each.message.what != "T" and each.live]


def _fired(s: State, at: int | None, row: TimerRow | None = None) -> State:
    """The time-out has happened: from here on every answer is late."""
    why = ""
    if at is not None and "u" in _beside(s, at):
        why = "fired over an answer in hand"
    if s.answered:
        why = "fired although it was answered"
    elif any(each.what == "u" for each in s.queue):
        why = "fired over an answer that stood in the queue"
    fired = row or (s.row and replace(s.row, state=TimerState.FIRED, input=b""))
    return s._replace(row=_kept(fired), bad_move=s.bad_move or why)


def _takes(scene: Scenario, s: State, at: int) -> Iterator[Step]:
    who = "AB"[at // 2]
    if not s.queue or (at % 2 and s.hands[at - 1] is None):
        return  # the two hands of a replica are alike
    message, rest = s.queue[0], s.queue[1:]
    if message.what != "T":
        yield f"{who} takes {message.what}", s._replace(queue=rest, hands=assign(s.hands, at, Hand(message)))
    elif "park" in scene.without or not _beside(s, at):
        yield from ((f"{who} {does}", after) for does, after in _alarm(scene, s._replace(queue=rest), at, message.n))


def _alarm(scene: Scenario, s: State, at: int, n: int) -> Iterator[Step]:
    off, done, begun = scene.without, Message("T", n), Message("t", n)
    work = assign(s.hands, at, Hand(done))
    if done in s.inbox and "inbox" not in off:
        yield "has seen the alarm", s
        return
    fired_before = s.row is not None and s.row.state is TimerState.FIRED and s.row.n == n
    if (begun in s.inbox and "again" not in off) or ("again" in off and fired_before):
        yield "admits the alarm again", s._replace(hands=work)
        return
    marked = s._replace(inbox=put(s.inbox, begun))
    asked = s.row and replace(s.row, n=n) if "generation" in off else s.row
    fires = fire(asked, n)
    if "queue" in off and fired_before:
        yield "admits the alarm: fired", marked._replace(hands=work)
    elif fires is not None and "queue" not in off:
        kept = replace(fires, n=s.row.n) if s.row else fires
        yield "admits the alarm: fired", _fired(marked, at, kept)._replace(hands=work)
    elif "row" in off and s.row is not None and s.row.state is not TimerState.FIRED:
        yield "admits the alarm without a look", _fired(marked, at)._replace(hands=work)
    else:
        yield "finds the alarm void", s


def _ends(scene: Scenario, s: State, at: int, hand: Hand) -> Iterator[Step]:
    who, what = "AB"[at // 2], hand.message.what
    free = s._replace(hands=assign(s.hands, at, None))
    came = Message(what.upper(), hand.message.n)
    if s.crashes:
        died = free._replace(crashes=s.crashes - 1)
        yield f"{who} dies with {what}", died._replace(queue=(came, *s.queue)) if hand.live else died
    if s.pauses and hand.live:
        late = s._replace(hands=assign(s.hands, at, hand._replace(live=False)), pauses=s.pauses - 1)
        yield f"{who} pauses with {what}", late._replace(queue=(came, *s.queue))
    after = _ran(scene, free, came) if what == "T" else _heard(scene, free, came)
    yield f"{who} commits {what} and acknowledges", after
    if s.crashes and hand.live:
        yield f"{who} commits {what} and dies", after._replace(queue=(came, *s.queue), crashes=s.crashes - 1)


def _ran(scene: Scenario, s: State, alarm: Message) -> State:
    if alarm in s.inbox and "inbox" not in scene.without:
        return s
    coming = (*s.coming, OWN) if scene.own and not s.said else s.coming
    return s._replace(inbox=put(s.inbox, alarm), said=s.said + 1, coming=tuple(sorted(coming)))


def _heard(scene: Scenario, s: State, came: Message) -> State:
    """The transaction of an arming or an answer: its inbox row and the time-out's row."""
    if came in s.inbox:
        return s
    what, off = came.what, scene.without
    arms, answers = what[0] in "AW", what[0] in "UWC"
    cause = f"alarm {s.row.n}" if what == OWN and s.row and "own" not in off else ""
    word = Word(what.encode(), "flow", arms, answers, cause)
    alarms = tuple(f"alarm {n}" for n in periods(s.row))
    found = hear(s.row, word, BLANK, wait=60.0, alarms=alarms)
    s = s._replace(inbox=put(s.inbox, came), ripe=s.ripe and not found.armed)
    if found.late:
        s = s._replace(late="itself" if what == OWN else "U")
    elif what == "U":
        s = s._replace(answered=True)
    row = found.row and replace(found.row, answer=b"late") if found.late else found.row
    if row is None or ("mark" in off and row.state is TimerState.MARK):
        return s
    return s._replace(row=_kept(row))


def _wrong(scene: Scenario, s: State) -> str:
    watch, n, state = scene.coming[0][0] == WATCH, s.row.n if s.row else 0, s.row.state if s.row else None
    if s.bad_move:
        return s.bad_move
    if s.late == "itself":
        return "calls what it said itself a late answer"
    if s.said > (n if watch else 1):
        return "said twice"
    if state is TimerState.MET and s.said:
        return "answered in time, and said all the same"
    if s.coming or s.queue or any(s.hands) or s.outbox or state is TimerState.ARMED:
        return ""  # it goes on
    if any(each.what == "t" and Message("T", each.n) not in s.inbox for each in s.inbox):
        return "fired, and said nothing"
    if state is TimerState.FIRED:
        return "a late answer that nobody is told of" if _unheard(s) else "" if s.said else "fired, and said nothing"
    if state is TimerState.CALLED:
        return "wedged: called, and no alarm under way"
    return "" if state is TimerState.MET else f"ended as {state}"


def _unheard(s: State) -> bool:
    return not s.answered and Message("U") in s.inbox and not s.late


def whole(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """The scopes that `python -m tests.model` visits."""
    every = {
        "armed and answered": Scenario(copies=0),
        "no answer": Scenario(("A1", "A1"), crashes=2, pauses=2),
        "armed again": Scenario(("A1", "A2", "U"), copies=0),
        "what it says answers": Scenario(("A1", "U"), own=True, copies=0),
        "a watch": Scenario(("W1", "W2", "W2"), copies=0),
    }
    return {name: replace(scene, without=without) for name, scene in every.items()}


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Smaller scopes, for each run of the tests."""
    fewer: dict[str, dict[str, Any]] = {
        "armed and answered": {"coming": ("A1", "U")},
        "no answer": {"crashes": 1, "pauses": 1},
    }
    fewer |= {"armed again": {"pauses": 0}, "a watch": {"coming": ("W1", "W2"), "pauses": 0}}
    fewer |= {"what it says answers": {"pauses": 0}}
    return {name: replace(scene, **fewer.get(name, {})) for name, scene in whole(without).items()}

"""The graph of one saga: what may happen next, and what must not be when nothing happens any more.

Two replicas of every service, each with at most one delivery in hand; while one works on a delivery, the other takes
one of the same service, for those of different services share nothing and commute. Each transaction and each call of
the outside is one move; a crash, or a pause beyond the lease, may come between any two. A delivery is taken in any
order, but for the alarm of a time-out, which stands behind what came to its queue before it. What a process said is at
the broker with its commit: a relay that is late, or sends twice, is a delivery that is taken late, or comes twice.

Left out: several deliveries in one commit, and those that a process has in hand beside each other.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hocket.delivery.arrival import Arrival, Role
from hocket.envelope.keys import outside_key
from hocket.saga.overdue import TimerState
from tests.graph.ended import ended_badly
from tests.graph.product import Product
from tests.graph.sagas.outside import DECLINED, ERROR, LIED, OK, STOPPED
from tests.graph.values import BACK, BLOCKED, STANDS, USED, Act, Ended, Hand, Harm, Post, Queued, State, thing_of
from tests.model.explorer import assign

Step = tuple[str, State]


@dataclass(frozen=True)
class Scope:
    """One saga, what arrives, and how often each kind of harm may happen."""

    product: Product
    first_posts: tuple[int, ...]
    first_said: tuple[int, ...]
    harm: Harm = field(default_factory=Harm)
    declines: frozenset[str] = frozenset()  # steps that the outside may decline
    blocks: bool = False  # the outside refuses what was given back before it came
    uses_up: Mapping[str, str] = field(default_factory=dict)  # a step that uses up what another one has done
    ends: Callable[[Product, State], str] = lambda *_: ""  # what is wrong with how the saga itself ended
    start: State | None = None  # where a part of the saga is over

    def first(self) -> State:
        """Everything is on its way, nothing has arrived; or where a part of the saga is over."""
        if self.start is not None:
            return self.start._replace(harm=self.harm)
        rows = (self.product.empty,) * len(self.product.services)
        queue = tuple(sorted(Queued(each) for each in self.first_posts))
        return State(rows, queue, self.harm, said=self.first_said)

    def moves(self, state: State) -> Iterator[Step]:
        """Every next state, with the name of the move."""
        for at, hand in enumerate(state.hands):
            if hand is None:
                yield from _takes(self, state, at)
            else:
                yield from _works(self, state, at, hand)
        yield from _around(self, state)

    def wrong(self, state: State) -> str:
        """What must not be in this state; "": nothing."""
        if state.bad_move:
            return state.bad_move
        armed = any(self.product.seen(each).armed for each in state.rows)
        if state.queue or any(state.hands) or (armed and state.harm.dues):
            return ""
        return ended_badly(self.product, state) or self.ends(self.product, state)


def boot_of(state: State, at: int) -> str:
    """The start of this replica."""
    return f"{'ab'[at]}{state.boots[at]}"


def _living(state: State, asking: int) -> tuple[str, ...]:
    """The starts whose lease runs, and the one that asks."""
    return tuple(boot_of(state, at) for at, hand in enumerate(state.hands) if at == asking or hand is None or hand.live)


def _name(scope: Scope, post: int) -> str:
    found: Post = scope.product.posts.values[post]
    return f"{found.type} for {found.queue}" + (f" {found.thing}" if found.thing not in {"1", "a"} else "")


def _without(queue: tuple[Queued, ...], one: Queued) -> tuple[Queued, ...]:
    at = queue.index(one)
    return queue[:at] + queue[at + 1 :]


def _queued(queue: tuple[Queued, ...], *posts: Queued) -> tuple[Queued, ...]:
    return tuple(sorted((*queue, *posts)))


def _back(scope: Scope, state: State, hand: Hand, *, again: bool = True) -> State:
    """The delivery stands in its queue again, in front."""
    post = scope.product.again(hand.post) if again else hand.post
    return state._replace(queue=_queued(state.queue, Queued(post, stood=True)))


def _takes(scope: Scope, s: State, at: int) -> Iterator[Step]:
    product = scope.product
    alike = at and s.hands[0] is None and s.boots[0] == s.boots[1]
    other = s.hands[1 - at]
    beside = None if other is None else product.posts.values[other.post].service
    for queued in dict.fromkeys(s.queue):
        post: Post = product.posts.values[queued.post]
        rows = s.rows[post.service]
        if beside not in {None, post.service}:
            continue
        if alike and not product.seen(rows).owned:
            continue  # two idle replicas are alike
        if post.alarm and any(
            each.stood and product.posts.values[each.post].queue == post.queue and each != queued for each in s.queue
        ):
            continue
        taken = product.take(rows, queued.post, boot_of(s, at), _living(s, at))
        if taken.waits and not s.harm.deferrals:
            continue
        after = s._replace(
            rows=assign(s.rows, post.service, taken.rows),
            queue=_without(s.queue, queued),
            hands=assign(s.hands, at, Hand(queued.post, taken.hand, taken.calls)),
            harm=s.harm._replace(deferrals=s.harm.deferrals - 1) if taken.waits else s.harm,
        )
        if taken.known:  # its commit writes no row, so no move comes between
            yield f"{'AB'[at]} finds {_name(scope, queued.post)} ended", after._replace(hands=s.hands)
            continue
        yield f"{'AB'[at]} takes {_name(scope, queued.post)}", _fired(scope, s, after, post.service)


def _fired(scope: Scope, before: State, after: State, service: int) -> State:
    """Whether a time-out has happened in this move that should not have."""
    if before.rows[service] == after.rows[service]:
        return after
    seen = scope.product.seen
    was = {(each[0], each[1], each[3]) for each in seen(before.rows[service]).timers if each[2] == TimerState.FIRED}
    for queue, thing, state, n in seen(after.rows[service]).timers:
        if state != TimerState.FIRED or (queue, thing, n) in was:
            continue
        if (queue, thing) in after.answered:
            return after._replace(bad_move=f"{queue} fired although it was answered")
        if any(each.stood and _answers(scope, each.post, queue, thing) for each in after.queue):
            return after._replace(bad_move=f"{queue} fired over an answer that stood in its queue")
    return after


def _answers(scope: Scope, post: int, queue: str, thing: str) -> bool:
    found: Post = scope.product.posts.values[post]
    return (found.queue, found.thing) == (queue, thing) and scope.product.only_answers(found)


def _works(scope: Scope, s: State, at: int, hand: Hand) -> Iterator[Step]:
    who, product = "AB"[at], scope.product
    name, free = _name(scope, hand.post), s._replace(hands=assign(s.hands, at, None))
    dies = free._replace(boots=assign(s.boots, at, s.boots[at] + 1), harm=s.harm._replace(crashes=s.harm.crashes - 1))
    if s.harm.crashes:
        lost = _back(scope, dies, hand) if hand.live else _unrecorded(scope, dies, hand)
        yield f"{who} dies with {name}", lost
    if s.harm.pauses and hand.live:
        late = s._replace(
            hands=assign(s.hands, at, hand._replace(live=False)), harm=s.harm._replace(pauses=s.harm.pauses - 1)
        )
        yield f"{who} pauses beyond its lease with {name}", _back(scope, late, hand)
    service = product.posts.values[hand.post].service
    if s.harm.stops and hand.live and hand.calls:  # with or without an answer of the outside
        ended = product.end(s.rows[service], hand.hand, boot_of(s, at), _living(s, at), STOPPED)
        after = _ended(scope, free, hand, ended)
        after = after._replace(boots=dies.boots, harm=s.harm._replace(stops=s.harm.stops - 1))
        yield f"{who} stops and gives back {name}", _back(scope, after, hand)
    if hand.calls and not hand.got:
        for answer, after in _calls(scope, s, hand):
            got = after._replace(hands=assign(after.hands, at, hand._replace(got=answer)))
            yield f"{who} calls for {name}: {answer}", got
        return
    ended = product.end(s.rows[service], hand.hand, boot_of(s, at), _living(s, at), hand.got or OK)
    after = _ended(scope, free, hand, ended)
    if not ended.won:
        yield f"{who} loses {name}", _back(scope, after, hand, again=False) if hand.live else after
        return
    yield f"{who} commits {name}", after
    if s.harm.crashes and hand.live:
        again = after._replace(boots=dies.boots, harm=after.harm._replace(crashes=s.harm.crashes - 1))
        yield f"{who} commits {name} and dies before the ack", _back(scope, again, hand)
    if s.harm.unknown and hand.live:
        again = after._replace(harm=after.harm._replace(unknown=s.harm.unknown - 1))
        yield f"{who} commits {name} without an answer", _back(scope, again, hand, again=False)


def _unrecorded(scope: Scope, s: State, hand: Hand) -> State:
    """A run whose lease was over has perhaps taken effect, and died: no row says so."""
    arrival: Arrival = scope.product.hands.values[hand.hand]
    if arrival.role is not Role.STEP or hand.got not in {OK, ERROR, LIED}:
        return s
    return s._replace(unrecorded=tuple(sorted({*s.unrecorded, (arrival.step, thing_of(arrival.scope))})))


def _ended(scope: Scope, s: State, hand: Hand, ended: Ended) -> State:
    post: Post = scope.product.posts.values[hand.post]
    after = s._replace(
        rows=assign(s.rows, post.service, ended.rows),
        queue=_queued(s.queue, *(Queued(each) for each in ended.out)),
        letters=tuple(sorted((*s.letters, *ended.letters))),
        said=tuple(sorted((*s.said, *ended.said))),
    )
    if ended.won and scope.product.only_answers(post):
        timers = scope.product.seen(s.rows[post.service]).timers
        fired = {(queue, thing) for queue, thing, state, _ in timers if state == TimerState.FIRED}
        if (post.queue, post.thing) not in fired:
            after = after._replace(answered=tuple(sorted({*after.answered, (post.queue, post.thing)})))
    if s.harm.pauses == scope.harm.pauses:
        for step, _, _, generation in scope.product.seen(ended.rows).runs:
            if generation > 1:
                return after._replace(bad_move=f"{step} is undone {generation} times")
    return _fired(scope, s, after, post.service)


def _calls(scope: Scope, s: State, hand: Hand) -> Iterator[tuple[str, State]]:
    arrival: Arrival = scope.product.hands.values[hand.hand]
    if arrival.role is Role.UNDO:
        yield from _undoes(scope, s, arrival)
        return
    key, step, thing = outside_key(arrival.key), arrival.step, thing_of(arrival.scope)
    state = next((each.state for each in s.books if each.key == key), "")
    used = scope.uses_up.get(step, "")
    other = next((each for each in s.books if (each.step, each.thing) == (used, thing)), None)
    may = state in {STANDS, BACK} or (not state and (not used or (other is not None and other.state == STANDS)))
    done = s if state or not may else _booked(s, Act(step, thing, key, STANDS))
    if not state and may and other is not None:
        done = _booked(done, other._replace(state=USED))
    declined = s if state else _booked(s, Act(step, thing, key, DECLINED))
    if may:
        yield OK, done
    if not may or (not state and step in scope.declines):
        yield DECLINED, declined
    if s.harm.errors:
        harm = s.harm._replace(errors=s.harm.errors - 1)
        yield ERROR, s._replace(harm=harm)
        if may and not state:
            yield LIED, done._replace(harm=harm)


def _undoes(scope: Scope, s: State, arrival: Arrival) -> Iterator[tuple[str, State]]:
    assert arrival.ledger is not None
    step, thing, key = arrival.step, thing_of(arrival.ledger.scope), arrival.step_key
    act = next((each for each in s.books if each.key == key), None)
    done = s
    if act is None and scope.blocks:
        done = _booked(s, Act(step, thing, key, BLOCKED))
    elif act is not None and act.state == STANDS:
        done = _booked(s, act._replace(state=BACK))
    elif act is not None and act.state == DECLINED and s.harm.errors == scope.harm.errors:
        done = s._replace(bad_move=f"{arrival.subscription.queue} undid what was declined")
    yield OK, done
    if s.harm.deaths:
        yield ERROR, s._replace(harm=s.harm._replace(deaths=s.harm.deaths - 1))


def _booked(s: State, act: Act) -> State:
    return s._replace(books=tuple(sorted((*(each for each in s.books if each.key != act.key), act))))


def _around(scope: Scope, s: State) -> Iterator[Step]:
    """What happens around the processes: a delivery comes twice, a period is over, a person replays a letter."""
    product = scope.product
    if s.harm.copies:
        for post in dict.fromkeys(each.post for each in s.queue):
            after = s._replace(harm=s.harm._replace(copies=s.harm.copies - 1))
            yield f"{_name(scope, post)} comes twice", after._replace(queue=_queued(s.queue, Queued(post)))
    for at, rows in enumerate(s.rows):
        if product.seen(rows).armed and s.harm.dues:
            called = product.due(at, rows)
            queues = {product.posts.values[each].queue for each in called.out}
            stood = [
                each._replace(stood=True) if product.posts.values[each.post].queue in queues else each
                for each in s.queue
            ]
            after = s._replace(
                rows=assign(s.rows, at, called.rows),
                harm=s.harm._replace(dues=s.harm.dues - 1),
                queue=tuple(sorted((*stood, *(Queued(each) for each in called.out)))),
            )
            yield f"the period is over in {product.services[at].name}", _fired(scope, s, after, at)
    if s.harm.replays:
        for post in dict.fromkeys(s.letters):
            letters = list(s.letters)
            letters.remove(post)
            after = s._replace(letters=tuple(letters), harm=s.harm._replace(replays=s.harm.replays - 1))
            yield f"a person replays {_name(scope, post)}", after._replace(queue=_queued(s.queue, Queued(post)))

"""RULES 9 as a state graph driven by the product's own functions: seats, lines, endings and the sort decide each move.

Two replicas, one ordered queue in which what returns stands behind what returned before, the broker's one active
consumer, the store's token, lines, inbox and outbox. Each hand-over, gather, take, begin, commit, ack and publish is
one move; a crash, a hand-over behind the replica's back or a doubled publish may come between any two.

Left out: parking behind one that runs on (RULES 9.9), time-outs of consumers (RULES 9.11), the switch (RULES 9.10).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hocket.delivery.ordering.turn import Seat
from hocket.outcome import Seen
from hocket.store.records import LineChange
from tests.model.ordering.parts import (
    BUDGET,
    DIES,
    FAILS,
    HANDLES,
    PREFETCH,
    Replica,
    Sent,
    State,
    apply,
    changed,
    drop,
    get,
    put,
    rep,
    row,
    seat,
    sort,
    subject,
    with_,
)

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "active": "RULES 9.1: the broker gives the queue to one consumer at a time",
    "token": "RULES 9.1: every commit of an ordered run or park checks the token",
    "gather": "RULES 9.2: what came back is put in order before anything begins",
    "ask": "RULES 9.2: a channel that has gathered is asked about, before its token is taken",
    "load": "RULES 9.4: whoever takes the token loads which subjects have a line",
    "park": "RULES 9.4: an unfinished head makes a line",
    "release": "RULES 9.5: a head that ends sends the next",
    "discard": "RULES 9.6: a discard reaches the subscription",
}


@dataclass(frozen=True)
class Scenario:
    """What may happen, with some rules left out."""

    events: tuple[int, ...] = (1, 2, 9)
    fail: tuple[int, ...] = (1,)
    skip: bool = False
    person: str = ""
    crashes: int = 1
    handovers: int = 1
    fails: int = 1
    persons: int = 0
    copies: int = 1
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """Nothing was delivered yet."""
        ready = tuple(Sent(event, 1) for event in self.events)
        return State(ready, self.crashes, self.handovers, self.fails, self.persons, self.copies)

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        """What broker, replicas, relay and persons may do."""
        takers = (0, 1) if "active" in self.without else (state.active,)
        for at in takers:
            replica = state.replicas[at]
            if not replica.orphan and len(replica.held) < PREFETCH and (state.back or state.ready):
                one = (state.back + state.ready)[0]
                after = state._replace(back=state.back[1:]) if state.back else state._replace(ready=state.ready[1:])
                yield f"{'AB'[at]} is given {one[:2]}", rep(after, at, held=(*replica.held, (one, "buffered")))
        for at, replica in enumerate(state.replicas):
            yield from self._of_replica(state, at, replica)
        for one in sorted(set(state.outbox)):
            after = state._replace(ready=(*state.ready, one))
            yield f"relay sends {one[:2]}", after._replace(outbox=drop(after.outbox, one))
            if state.copies:
                yield f"relay sends {one[:2]}, confirm unknown", after._replace(copies=state.copies - 1)
        if state.persons:
            yield from self._of_persons(state._replace(persons=state.persons - 1))

    def _of_persons(self, state: State) -> Iterator[tuple[str, State]]:
        for event in state.letters:
            attempt = row(state, event)[1]
            if self.person in {"replay", "both"}:
                yield (
                    f"a person replays {event}",
                    state._replace(ready=(*state.ready, Sent(event, attempt + 1, "replay"))),
                )
            if self.person in {"discard", "both"}:
                after = state._replace(letters=drop(state.letters, event))
                sent = after._replace(ready=(*state.ready, Sent(event, attempt, "discard")))
                yield f"a person discards {event}", after if "discard" in self.without else sent

    def _of_replica(self, state: State, at: int, replica: Replica) -> Iterator[tuple[str, State]]:
        who = "AB"[at]
        if replica.held and state.crashes:
            yield f"{who} dies", _gone(state._replace(crashes=state.crashes - 1), at)
        lost = replica.held and state.active == at and not replica.orphan and state.handovers
        if lost and "active" not in self.without:
            back = state.back + _returned(replica)
            after = state._replace(handovers=state.handovers - 1, back=back, active=1 - at)
            yield f"the broker gives the queue of {who} to the other", rep(after, at, orphan=True)
        if replica.held and replica.fresh:
            if (
                not state.back or "gather" in self.without or replica.seen >= 0
            ):  # the first that never came back, or silence
                yield self._open(state, at, replica)
            return
        for n, (one, status) in enumerate(replica.held):
            if status == "buffered":
                if (done := self._admit(state, at, n)) is not None:
                    yield f"{who} {done[0]}", _remember(state, done[1], at)
            elif status == "running":
                yield from self._end(state, at, n)
            else:
                yield f"{who} acks {one[:2]}", rep(state, at, held=replica.held[:n] + replica.held[n + 1 :])
        if replica.orphan and not replica.held:
            yield f"{who} opens another channel", rep(state, at, **Replica()._asdict())

    def _open(self, state: State, at: int, replica: Replica) -> tuple[str, State]:
        """Read the token, ask the broker, then take it by compare-and-set."""
        who = "AB"[at]
        if replica.seen < 0 and "ask" not in self.without:
            if replica.orphan and "active" not in self.without:
                return f"{who} learns that its channel is gone", _gone(state, at)
            return f"{who} asks about its channel", rep(state, at, seen=state.token)
        if replica.seen >= 0 and replica.seen != state.token:
            return f"{who} was not the first", _gone(state, at)
        return f"{who} takes the token", self._take(state, at, replica)

    def _take(self, state: State, at: int, replica: Replica) -> State:
        lines = () if "load" in self.without else tuple(name for name, _ in state.lines)
        held = replica.held if "gather" in self.without else sort(replica.held)
        after = state._replace(token=state.token + 1)
        return rep(after, at, held=held, token=state.token + 1, fresh=False, seen=-1, lines=lines)

    def _admit(self, state: State, at: int, n: int) -> tuple[str, State] | None:
        """What becomes of the first buffered delivery of its subject: (label, state), or None where it waits."""
        replica = state.replicas[at]
        one = replica.held[n][0]
        mine = [
            (m, status) for m, (sent, status) in enumerate(replica.held) if subject(sent.event) == subject(one.event)
        ]
        if any(status == "running" or (status == "buffered" and m < n) for m, status in mine):
            return None
        fenced = "token" not in self.without and replica.token != state.token
        settled = rep(state, at, held=(*replica.held[:n], (one, "committed"), *replica.held[n + 1 :]))
        where = seat(state, one, replica.lines)
        if one.kind == "discard":
            if fenced:
                return "is fenced", _gone(state, at)
            if where is not Seat.LETS_GO:
                return f"has nothing to let go of {one.event}", settled
            after = settled._replace(
                let_go=put(settled.let_go, one.event), letters=tuple(x for x in settled.letters if x != one.event)
            )
            return f"lets {one.event} go", self._change(after, one, LineChange.RELEASE)
        word, known, _ = row(state, one.event)
        replays = word == "dead" and one.kind == "replay" and one.attempt > known
        if word == "handled" or (word == "dead" and not replays) or (word == "retry" and one.attempt <= known):
            change = changed(state, one, Seen(word), self.skip, Seat.RUNS, replica.lines)
            return f"has seen {one.event}", self._change(settled, one, change)
        if where is Seat.PARKS:
            if fenced:
                return "is fenced", _gone(state, at)
            parked = settled._replace(inbox=with_(settled.inbox, one.event, ("retry", one.attempt - 1, 0)))
            return f"parks {one.event}", self._change(parked, one, LineChange.PARK)
        held = (*replica.held[:n], (one, "running"), *replica.held[n + 1 :])
        return f"begins {one.event} attempt {one.attempt}", rep(state, at, held=held)

    def _end(self, state: State, at: int, n: int) -> Iterator[tuple[str, State]]:
        replica, who = state.replicas[at], "AB"[at]
        one = replica.held[n][0]
        for fails in (False, True) if state.fails and one.event in self.fail else (False,):
            if not {"token", "active"} & self.without and replica.token != state.token:
                yield f"{who} is fenced", _gone(state, at)
                continue
            held = (*replica.held[:n], (one, "committed"), *replica.held[n + 1 :])
            after = rep(state._replace(fails=state.fails - fails), at, held=held)
            label = f"{who}: {one.event} {'fails' if fails else 'is handled'}"
            yield label, _remember(after, self._commit(after, one, fails, replica), at)

    def _commit(self, state: State, one: Sent, fails: bool, replica: Replica) -> State:
        """The transaction that ends one run; it is known to hold the token."""
        event, attempt, kind, _ = one
        word, known, base = row(state, event)
        again = word == "retry" and known < attempt
        if not (not word or again or (word == "dead" and kind == "replay" and known < attempt)):
            return state
        where = seat(state, one, replica.lines)
        if not fails:
            change = changed(state, one, HANDLES, self.skip, where, replica.lines)
            state = self._effect(state, event)._replace(inbox=with_(state.inbox, event, ("handled", attempt, base)))
            return self._change(state._replace(letters=tuple(x for x in state.letters if x != event)), one, change)
        base = known if word == "dead" else base
        if attempt - base < BUDGET:
            change = changed(state, one, FAILS, self.skip, where, replica.lines)
            state = state._replace(
                inbox=with_(state.inbox, event, ("retry", attempt, base)),
                outbox=put(state.outbox, Sent(event, attempt + 1, kind)),
            )
            return state if "park" in self.without else self._change(state, one, change)
        letters = tuple(sorted({*state.letters, event}))
        state = state._replace(inbox=with_(state.inbox, event, ("dead", attempt, attempt)), letters=letters)
        change = changed(state, one, DIES, self.skip, where, replica.lines)
        if change is not LineChange.HOLD:
            state = state._replace(let_go=tuple(sorted({*state.let_go, event})))
        return self._change(state, one, change)

    def _change(self, state: State, one: Sent, change: LineChange) -> State:
        return apply(state, one.event, change, sends="release" not in self.without)

    def _effect(self, state: State, event: int) -> State:
        wrong = state.wrong
        for other in range(1, event):
            if subject(other) == subject(event) and row(state, other)[0] != "handled" and other not in state.let_go:
                wrong = wrong or f"order broken: {event} before {other}"
        if event in state.effects:
            wrong = wrong or f"{event} had its effect twice"
        return state._replace(effects=(*state.effects, event), wrong=wrong)

    def wrong(self, state: State) -> str:
        """Order broken, an effect twice; or, at rest, something lost, or held by another subject."""
        if state.wrong or state.ready or state.back or state.outbox or any(each.held for each in state.replicas):
            return state.wrong
        for event in self.events:
            word, stands = row(state, event)[0], get(state.lines, subject(event), ())
            behind = event in stands and stands[0] in state.letters  # it waits for a person, who sees for what
            done = word == "handled" and event in state.effects
            if done or behind or (word == "dead" and (event in state.letters or event in state.let_go)):
                continue
            return "a blocked subject held another" if event == 9 else f"wedged or lost: {event}"
        return ""


def _returned(replica: Replica) -> tuple[Sent, ...]:
    return tuple(one._replace(back=one.back + 1) for one, _ in replica.held)


def _gone(state: State, at: int) -> State:
    """Its channel is closed: what it held returns, the queue goes to the other, and it begins anew."""
    replica = state.replicas[at]
    state = rep(state, at, **Replica()._asdict())
    if replica.orphan:
        return state
    active = 1 - at if state.active == at else state.active
    return state._replace(back=state.back + _returned(replica), active=active)


def _remember(before: State, after: State, at: int) -> State:
    """Of lines a replica knows those it loaded with its token, and what its own commits changed since."""
    replica = after.replicas[at]
    if replica == Replica():
        return after
    made = {name for name, stands in after.lines if dict(before.lines).get(name) != stands}
    gone = {name for name, _ in before.lines} - {name for name, _ in after.lines}
    return rep(after, at, lines=tuple(sorted({*replica.lines, *made} - gone)))


def whole(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """The scopes that `python -m tests.model` visits."""
    blocked = Scenario(fails=2, persons=1, person="both", handovers=0, copies=0)
    every = {
        "a retry": Scenario(),
        "two fail": Scenario((1, 2, 3), (1, 2), fails=2, crashes=0, copies=0),
        "block": blocked,
        "replayed and discarded": replace(blocked, events=(1, 2), persons=2, crashes=0, handovers=1),
        "skip": Scenario(fails=2, skip=True, persons=1, person="replay", crashes=0, copies=0),
        "three pass through": Scenario((1, 2, 3), (), fails=0, crashes=2, copies=0),
    }
    return {name: replace(scene, without=without) for name, scene in every.items()}


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Smaller scopes, for each run of the tests."""
    every = dict(whole(without))
    every["a retry"] = replace(every["a retry"], events=(1, 2), copies=0)
    every["two fail"] = replace(every["two fail"], events=(1, 2))
    every["block"] = replace(every["block"], events=(1, 2))
    every["replayed and discarded"] = replace(every["replayed and discarded"], handovers=0)
    every["skip"] = replace(every["skip"], events=(1, 2), handovers=0)
    return every

"""What happens to whom, and when: all of it from one seed. Pure."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.crash.operator_hands import Deletion, deletions

#: Boundaries between stations that every service passes, in the order of the way of a delivery.
EVERYWHERE = (
    "received",
    "admitted",
    "handled",
    "before commit",
    "after commit",
    "before ack",
    "after ack",
    "published",
    "confirmed",
    "forgotten",
    "before take-over",
    "after take-over",
)
#: Boundaries that only some services have: `begun` of a step, the call outside, a transaction outside handlers, what
#: was due later, a commit that handlers share.
ONLY = {
    "till": ("before say", "after say", "claimed"),
    "bank": ("begun", "called", "claimed"),
    "shelf": ("before group", "after group"),
}
SERVICES = tuple(ONLY)
#: The same of the run of ordered subscriptions.
ORDERED_ONLY = {"teller": ("before say", "after say"), "clerk": ("called", "before group", "after group")}
#: Passes of a boundary before the process ends there: as often one as some, seldom many.
MOST_PASSES = 25
#: Boundaries that a process passes once in its life.
ONCE = ("before take-over", "after take-over")
#: Seconds of a life that ends at random, from start.
SHORTEST_LIFE, LONGEST_LIFE = 0.5, 6.0
#: One life in so many is paused for longer than any lease before it is killed.
PAUSE_EVERY = 30
PAUSE_SECONDS = 17.0
#: Seconds between disturbances.
SHORTEST_PEACE, LONGEST_PEACE = 3.0, 8.0


class Way(StrEnum):
    """How a life ends: always by SIGKILL."""

    POINT = "point"
    TIME = "time"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Life:
    """One start of a service, until it is killed."""

    way: Way
    point: str = ""
    passes: int = 0  # of the point
    seconds: float = 0.0  # until the kill, or the pause


class Trouble(StrEnum):
    """What is done to the surroundings."""

    CUT = "cut"  # every connection of one service ends
    DELAY = "delay"  # every packet of one service comes late
    FREEZE = "freeze"  # no packet of one service comes, and no connection ends
    BROKER_KILLED = "broker killed"
    BROKER_RESTARTED = "broker restarted"
    DATABASE_STOPPED = "database stopped"
    CLOCK_JUMPED = "clock jumped"  # the wall clock of one service is wrong for a while, then right again
    OPERATOR = "operator deletes"  # exchanges, bindings, empty queues


#: How far a clock jumps, as libfaketime reads it. None goes back by days: what is said so long ago is too old for all.
JUMPS = ("+10m", "-10m", "+20d", "+400d", "-0.05")
#: How often each trouble is drawn.
WEIGHTS = {
    Trouble.CUT: 6,
    Trouble.DELAY: 4,
    Trouble.FREEZE: 3,
    Trouble.BROKER_KILLED: 1,
    Trouble.BROKER_RESTARTED: 1,
    Trouble.DATABASE_STOPPED: 2,
    Trouble.CLOCK_JUMPED: 6,
    Trouble.OPERATOR: 4,
}


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One trouble, after so many seconds of peace."""

    peace: float
    trouble: Trouble
    service: str
    seconds: float  # how long it lasts, where it lasts
    jump: str = ""  # of a clock
    deletions: tuple[Deletion, ...] = ()  # of the operator


def points(service: str) -> tuple[str, ...]:
    """The boundaries that a service has."""
    return EVERYWHERE + (ONLY | ORDERED_ONLY)[service]


def lives(seed: int, service: str) -> Iterator[Life]:
    """The lives of one service, without end: each boundary once in some order, then whatever chance says."""
    chance = random.Random(f"{seed} {service}")
    first = list(points(service))
    chance.shuffle(first)
    number = 0
    while True:
        number += 1
        if number % PAUSE_EVERY == PAUSE_EVERY // 3:
            yield Life(Way.PAUSE, seconds=chance.uniform(2.0, 5.0))
        elif first:
            yield _at(first.pop(), chance)
        elif chance.random() < 0.6:
            yield _at(chance.choice(points(service)), chance)
        else:
            yield Life(Way.TIME, seconds=chance.uniform(SHORTEST_LIFE, LONGEST_LIFE))


def _at(point: str, chance: random.Random) -> Life:
    passes = 1 if point in ONCE else int(math.exp(chance.uniform(0.0, math.log(MOST_PASSES))))
    return Life(Way.POINT, point, passes)


def disturbances(
    seed: int, *, database: bool, clocks: bool, operator: bool = True, services: Sequence[str] = SERVICES
) -> Iterator[Disturbance]:
    """The troubles around, without end: each once in some order, then by weight.

    `database`: there is a server; `clocks`: they can be moved; `operator`: there is one; `services` are those it meets.
    """
    chance = random.Random(f"{seed} surroundings")
    possible = {Trouble.DATABASE_STOPPED: database, Trouble.CLOCK_JUMPED: clocks, Trouble.OPERATOR: operator}
    kinds = [each for each in Trouble if possible.get(each, True)]
    first = list(kinds)
    chance.shuffle(first)
    while True:
        trouble = first.pop() if first else chance.choices(kinds, [WEIGHTS[each] for each in kinds])[0]
        peace, service = chance.uniform(SHORTEST_PEACE, LONGEST_PEACE), chance.choice(services)
        seconds, jump = chance.uniform(1.0, 5.0), chance.choice(JUMPS)
        yield Disturbance(
            peace,
            trouble,
            service,
            seconds,
            jump if trouble is Trouble.CLOCK_JUMPED else "",
            deletions(chance) if trouble is Trouble.OPERATOR else (),
        )


def sales(seed: int) -> Iterator[tuple[str, bool]]:
    """The sales, without end: a name and whether shelf refuses it."""
    chance = random.Random(f"{seed} sales")
    number = 0
    while True:
        number += 1
        yield f"{seed}-{number:06d}", chance.random() < 0.15

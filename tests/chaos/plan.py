"""What happens to whom, and when: all of it from one seed. Pure; all times in seconds since the first order."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.shop import BREAKERS, HEARS_NOTHING, OBSERVERS, TARGETS, TEAMS
from tests.crash.plan import EVERYWHERE, JUMPS, ONCE

#: Seconds that one fault outside has for itself, with the peace behind it; shorter runs have several faults at once.
FAULT_SECONDS = 12.0
#: Part of it in which the fault stands.
FAULTY = 0.7
#: How each system outside misbehaves: kind of the sandbox's fault, and what else is posted with it.
MODES: Mapping[str, Mapping[str, int]] = {
    "error": {},
    "hang": {"delay_ms": 4000},
    "lie": {},
    "delay": {"delay_ms": 700},
    "limit": {"retry_after": 3, "per_second": 1},
}
#: Boundaries between stations at which a process ends itself; a service that never passes one is killed all the same.
POINTS = (*EVERYWHERE, "begun", "before group", "after group", "claimed", "before say", "after say")
#: Passes of a boundary before the process ends there, and seconds that it gets for them.
MOST_PASSES = 12
FUSE_SECONDS = 12.0
#: Seconds that a process which was killed stays away.
SHORTEST_AWAY, LONGEST_AWAY = 0.0, 4.0
#: Seconds of a pause: a short one, and one that is longer than any lease (15 s).
SHORT_PAUSE, LONG_PAUSE = (1.0, 5.0), (17.0, 19.0)
#: Seconds that a clock is wrong, a breaker is held by hand, the broker is away.
WRONG, HELD, AWAY = (4.0, 15.0), (3.0, 12.0), (0.5, 3.0)
#: Seconds between two acts of one lane: processes, clocks, broker, deliveries, breakers.
PROCESS_GAP, CLOCK_GAP, DELIVERY_GAP, BREAKER_GAP = (2.0, 7.0), (3.0, 10.0), (4.0, 12.0), (5.0, 15.0)
#: Times that the broker ends in one run.
BROKER_ENDS = 3
#: Seconds for which a service is away, so that deliveries gather in its queues before they are moved.
GATHER = (3.0, 8.0)
#: Most deliveries that are doubled at once, and moved in one queue.
MOST_DOUBLED, MOST_MOVED = 60, 30


class Do(StrEnum):
    """What is done."""

    FAULT = "fault outside"
    KILL = "killed"
    FUSE = "killed at a boundary"
    PAUSE = "paused"
    LONG_PAUSE = "paused beyond the lease"
    CLOCK = "clock stepped"
    BROKER_STOP = "broker restarted"
    BROKER_KILL = "broker killed"
    DOUBLE = "deliveries doubled"
    REORDER = "deliveries reordered"
    HOLD = "breaker opened by hand"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is done: at which second, to whom, for how long."""

    at: float
    do: Do
    who: str = ""  # a service, or a system of the outside world
    replica: int = 1
    seconds: float = 0.0
    what: str = ""  # the kind of a fault, a boundary, how far a clock steps, the name of a breaker, a shuffle's seed
    number: int = 0  # passes of a boundary, deliveries


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: lanes that run side by side, the acts of each one after the other."""

    seed: int
    seconds: float
    replicas: int
    lanes: tuple[tuple[Act, ...], ...]

    def acts(self) -> list[Act]:
        """All of them, in order of time."""
        return sorted((act for lane in self.lanes for act in lane), key=lambda act: act.at)


def plan_of(seed: int, seconds: float, replicas: int, *, clocks: bool) -> Plan:
    """The plan of a seed; `clocks`: they can be moved."""

    def chance(lane: str) -> random.Random:
        return random.Random(f"{seed} {lane}")

    lanes = [
        *_faults(chance("faults"), seconds),
        _lane(chance("processes"), seconds, PROCESS_GAP, _processes(replicas)),
        _broker(chance("broker"), seconds),
        _lane(chance("deliveries"), seconds, DELIVERY_GAP, _deliveries),
        _lane(chance("breakers"), seconds, BREAKER_GAP, _breakers),
    ]
    if clocks:
        lanes.append(_lane(chance("clocks"), seconds, CLOCK_GAP, _clocks(replicas)))
    return Plan(seed, seconds, replicas, tuple(lanes))


def _faults(chance: random.Random, seconds: float) -> Iterator[tuple[Act, ...]]:
    """Every mode of every system, in turn; side by side only where the time is too short."""
    every = [(target, kind) for target in TARGETS for kind in MODES]
    chance.shuffle(every)
    turns = max(1, min(len(every), int(seconds / FAULT_SECONDS)))
    turn = seconds / turns
    for first in range(math.ceil(len(every) / turns)):
        these = every[first * turns : (first + 1) * turns]
        yield tuple(
            Act(number * turn, Do.FAULT, target, seconds=turn * FAULTY, what=kind)
            for number, (target, kind) in enumerate(these)
        )


#: The next acts of a lane: from chance, the number of the act, the second in which it begins.
Next = Callable[[random.Random, int, float], Act]


def _lane(chance: random.Random, seconds: float, gap: tuple[float, float], following: Next) -> tuple[Act, ...]:
    acts: list[Act] = []
    at = chance.uniform(*gap)
    while at < seconds:
        acts.append(following(chance, len(acts), at))
        at += acts[-1].seconds + chance.uniform(*gap)
    return tuple(acts)


def _processes(replicas: int) -> Next:
    ways = (Do.FUSE, Do.KILL, Do.LONG_PAUSE, Do.FUSE, Do.PAUSE, Do.KILL)

    def following(chance: random.Random, number: int, at: float) -> Act:
        do, who = ways[number % len(ways)], chance.choice((*TEAMS, *OBSERVERS))
        replica = chance.randint(1, replicas if who in TEAMS else 1)
        match do:
            case Do.FUSE:
                point = chance.choice(POINTS)
                passes = 1 if point in ONCE else int(math.exp(chance.uniform(0.0, math.log(MOST_PASSES))))
                return Act(at, do, who, replica, FUSE_SECONDS, point, passes)
            case Do.KILL:
                return Act(at, do, who, replica, chance.uniform(SHORTEST_AWAY, LONGEST_AWAY))
            case _:
                span = LONG_PAUSE if do is Do.LONG_PAUSE else SHORT_PAUSE
                return Act(at, do, who, replica, chance.uniform(*span))

    return following


def _clocks(replicas: int) -> Next:
    def following(chance: random.Random, number: int, at: float) -> Act:
        who, replica = chance.choice(TEAMS), chance.randint(1, replicas)
        return Act(at, Do.CLOCK, who, replica, chance.uniform(*WRONG), JUMPS[number % len(JUMPS)])

    return following


def _broker(chance: random.Random, seconds: float) -> tuple[Act, ...]:
    part = seconds / (BROKER_ENDS + 1)
    return tuple(
        Act(
            (number + 1) * part + chance.uniform(-part / 4, part / 4),
            Do.BROKER_KILL if number % 2 else Do.BROKER_STOP,
            seconds=chance.uniform(*AWAY),
        )
        for number in range(BROKER_ENDS)
    )


def _deliveries(chance: random.Random, number: int, at: float) -> Act:
    if number % 2:
        who = chance.choice([service for service in TEAMS if service not in HEARS_NOTHING])
        return Act(at, Do.REORDER, who, seconds=chance.uniform(*GATHER), what=_seed(chance), number=MOST_MOVED)
    return Act(at, Do.DOUBLE, what=_seed(chance), number=chance.randint(1, MOST_DOUBLED))


def _seed(chance: random.Random) -> str:
    """What a shuffle begins with."""
    return str(chance.randrange(2**32))


def _breakers(chance: random.Random, _: int, at: float) -> Act:
    who = chance.choice([service for service, names in BREAKERS.items() if names])
    return Act(at, Do.HOLD, who, seconds=chance.uniform(*HELD), what=chance.choice(BREAKERS[who]))

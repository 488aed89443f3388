"""What is pushed, by whom, signed how, and how often; who is killed when: all of it from one seed. Pure."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.crash.plan import Life, Way

#: Who pushes, in turn; each is a webhook of ingress under this name.
SENDERS = ("standard", "stripe", "shopify", "github")
#: Those that sign the body and nothing else: an equal body is one push (RULES 12.6).
BODY_SIGNED = ("shopify", "github")
#: Those that sign a timestamp.
TIMED = ("standard", "stripe")
INGRESS = "ingress"
SUBSCRIBERS = ("billing", "stock")

#: Shares of the genuine deliveries: pushed twice, three times, signed with the old secret, a second content under one
#: id, a captured body under another id (of those that sign the body alone).
DOUBLED, TREBLED, OLD, OTHER, TWIN = 0.30, 0.05, 0.05, 0.02, 0.04
#: Shares of what cannot or need not be said; the others are said.
NOTHING, CONTRACT, UNPARSABLE = 0.02, 0.005, 0.005
#: Deliveries that are not authentic, for each genuine one.
FORGED = 0.06
#: Share of doubles of which the sender computes a field of the body anew.
RECOMPUTED = 1 / 3
#: Most seconds after the first answer at which a late double is pushed.
LATE_SECONDS = 4.0


class Due(StrEnum):
    """What must become of a delivery."""

    SAID = "said"
    NOTHING = "nothing"  # the mapping returns None
    CONTRACT = "contract"  # kept: a field is missing
    UNPARSABLE = "unparsable"  # kept: the body is cut
    REFUSED = "refused"  # not authentic


class Signed(StrEnum):
    """By what a delivery is signed."""

    NEW = "new"
    OLD = "old"  # replaced, still active
    UNKNOWN = "unknown"  # a secret that ingress never had
    NOT = "not"
    STALE = "stale"  # the new secret, ten minutes ago


class Copy(StrEnum):
    """What a further push of a delivery is."""

    AGAIN = "again"
    RECOMPUTED = "recomputed"  # a field that nobody reads differs
    OTHER = "other"  # the same id with another content: kept as a conflict, whichever came first
    TWIN = "twin"  # the same body under another id


class When(StrEnum):
    """When a further push begins."""

    AT_ONCE = "at once"
    LATER = "later"  # a while after the first is answered
    AFTER_KILL = "after a kill"  # of a process, after the first is answered


@dataclass(frozen=True, slots=True)
class Double:
    """One further push of a delivery."""

    copy: Copy
    when: When
    seconds: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one sender. `number` stands in its body and in what becomes of it."""

    number: str
    sender: str
    id: str
    due: Due
    signed: Signed
    doubles: tuple[Double, ...] = ()


def deliveries(seed: int, events: int) -> list[Delivery]:
    """So many genuine deliveries and the forged ones, in the order in which they begin."""
    chance = random.Random(f"{seed} deliveries")
    genuine = [_genuine(chance, n, SENDERS[n % len(SENDERS)]) for n in range(events)]
    forged = [_forged(chance, events + n, genuine) for n in range(round(events * FORGED))]
    both = genuine + forged
    chance.shuffle(both)
    return both


def _genuine(chance: random.Random, n: int, sender: str) -> Delivery:
    draw, due = chance.random(), Due.SAID
    for share, other in ((UNPARSABLE, Due.UNPARSABLE), (CONTRACT, Due.CONTRACT), (NOTHING, Due.NOTHING)):
        if draw < share:
            due = other
            break
        draw -= share
    signed = Signed.OLD if chance.random() < OLD else Signed.NEW
    return Delivery(_number(n), sender, f"d-{chance.getrandbits(64):016x}", due, signed, _doubles(chance, sender, due))


def _doubles(chance: random.Random, sender: str, due: Due) -> tuple[Double, ...]:
    copies: list[Copy] = []
    draw = chance.random()
    for _ in range((draw < DOUBLED) + (draw < TREBLED)):
        anew = due in {Due.SAID, Due.NOTHING} and chance.random() < RECOMPUTED
        copies.append(Copy.RECOMPUTED if anew else Copy.AGAIN)
    if due is Due.SAID and chance.random() < OTHER:
        copies.append(Copy.OTHER)
    elif due is Due.SAID and sender in BODY_SIGNED and Copy.RECOMPUTED not in copies and chance.random() < TWIN:
        copies.append(Copy.TWIN)
    return tuple(Double(each, chance.choice(list(When)), chance.uniform(0.0, LATE_SECONDS)) for each in copies)


def _forged(chance: random.Random, n: int, genuine: Sequence[Delivery]) -> Delivery:
    """Not authentic; half of them under the id of a genuine delivery."""
    sender = SENDERS[n % len(SENDERS)]
    ways = [Signed.UNKNOWN, Signed.NOT] + [Signed.STALE] * (sender in TIMED)
    of_sender = [each.id for each in genuine if each.sender == sender] if chance.random() < 0.5 else []
    id = chance.choice(of_sender) if of_sender else f"f-{chance.getrandbits(64):016x}"
    return Delivery(_number(n), sender, id, Due.REFUSED, chance.choice(ways))


def _number(n: int) -> str:
    return f"n{n:07d}"


# -- who is killed -----------------------------------------------------------------------------------------------------

#: Boundaries of a push and of the rows that it leaves, in their order.
POINTS = (
    "before taking",
    "before group",
    "after group",
    "before keeping",
    "after keeping",
    "before answer",
    "claimed",
    "published",
    "confirmed",
    "forgotten",
    "before take-over",
    "after take-over",
)
#: Boundaries that few deliveries pass, so that the first pass must do.
RARE = ("before keeping", "after keeping", "before take-over", "after take-over")
#: Passes of a boundary before the process ends there.
MOST_PASSES = 40
#: Seconds of a life of ingress and of a subscriber that ends at random.
INGRESS_SECONDS, SUBSCRIBER_SECONDS = (0.5, 6.0), (8.0, 25.0)
#: One life of ingress in so many is paused for longer than any lease before it is killed.
PAUSE_EVERY = 25


def lives(seed: int, service: str, replica: int) -> Iterator[Life]:
    """The lives of one process, without end; of ingress each boundary once in some order, then whatever chance says."""
    chance = random.Random(f"{seed} {service} {replica}")
    first = list(POINTS)
    chance.shuffle(first)
    number = 0
    while True:
        number += 1
        if service != INGRESS:
            yield Life(Way.TIME, seconds=chance.uniform(*SUBSCRIBER_SECONDS))
        elif number % PAUSE_EVERY == PAUSE_EVERY // 3:
            yield Life(Way.PAUSE, seconds=chance.uniform(1.0, 3.0))
        elif first or chance.random() < 0.6:
            point = first.pop() if first else chance.choice(POINTS)
            passes = 1 if point in RARE else int(math.exp(chance.uniform(0.0, math.log(MOST_PASSES))))
            yield Life(Way.POINT, point, passes)
        else:
            yield Life(Way.TIME, seconds=chance.uniform(*INGRESS_SECONDS))


class Trouble(StrEnum):
    """What is done to the surroundings, always by SIGKILL."""

    BROKER = "broker"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One trouble, after so many seconds of peace, for so many seconds."""

    peace: float
    trouble: Trouble
    away: float


#: Seconds between two disturbances, and for which what was killed stays away.
PEACE_SECONDS, AWAY_SECONDS = (6.0, 14.0), (0.2, 3.0)


def disturbances(seed: int, *, database: bool) -> Iterator[Disturbance]:
    """The troubles around, without end; `database`: there is a server."""
    chance = random.Random(f"{seed} surroundings")
    kinds = list(Trouble) if database else [Trouble.BROKER]
    while True:
        yield Disturbance(chance.uniform(*PEACE_SECONDS), chance.choice(kinds), chance.uniform(*AWAY_SECONDS))

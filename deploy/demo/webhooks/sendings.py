"""What is sent when, how it is signed, and what of it comes twice or out of order. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from deploy.demo.plan import Plan
from deploy.demo.webhooks import bodies

#: The senders, by the names of their webhooks.
FORM, SHOP = "form", "shop"
#: Seconds between two editions of one person, as they are sent; and by the sender's clock.
EDITION_GAP, EDITION_AGE = 0.8, timedelta(minutes=1)
#: How long ago, by the sender's clock, the first one was made: nothing is told of a time that has not come.
OLDEST = timedelta(hours=1)
#: In which order the editions of a customer are sent, in turn; the last one in order.
ORDERS_OF_EDITIONS = ((2, 0, 1), (0, 2, 1), (0, 1, 2))
#: Seconds after which some come a second time; the others at once.
AGAIN_SECONDS = 3.0


class Signed(StrEnum):
    """How something is signed."""

    WELL = "well"
    NOT = "not"  # no signature at all
    UNKNOWN = "unknown"  # with a secret that does not count
    CHANGED = "changed"  # the body was changed after it was signed
    LATE = "late"  # well, but ten minutes ago: a captured request, played again


#: The ways in which a forger tries each sender; Shopify signs no moment, so that nothing of it is late.
FORGERIES = {FORM: (Signed.NOT, Signed.UNKNOWN, Signed.CHANGED, Signed.LATE), SHOP: (Signed.NOT, Signed.UNKNOWN)}


class Again(StrEnum):
    """Whether a sender sends something twice."""

    NO = "no"
    AT_ONCE = "at once"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Sending:
    """One thing that a sender tells, however often."""

    sender: str
    id: str  # as the shop that takes it calls the delivery
    email: str
    updated_at: datetime
    topic: str  # of the shop; "" of the form
    body: bytes
    at: float  # seconds after the first post
    again: Again
    signed: Signed
    older: bool  # a newer one about the same person was sent before


def sendings(plan: Plan, run: str, now: datetime) -> list[Sending]:
    """Everything that is sent, in order of time; `run` makes the ids this run's own."""
    told = [*_of_form(plan, run, now), *_of_shop(plan, run, now)]
    told = [replace(each, again=_again(number)) for number, each in enumerate(told)]
    return sorted([*told, *_forged(plan, run, now)], key=lambda each: each.at)


def _again(number: int) -> Again:
    return (Again.AT_ONCE, Again.NO, Again.NO, Again.LATER, Again.NO, Again.NO)[number % 6]


def _of_form(plan: Plan, run: str, now: datetime) -> Iterator[Sending]:
    for number in range(plan.contacts):
        email = f"contact{number:04}@example.com"
        editions = ((0,), (0, 1), (1, 0))[number % 3]
        for place, edition in enumerate(editions):
            moment = now - OLDEST + number * timedelta(seconds=1) + edition * EDITION_AGE
            body = bodies.contact(email, number, edition, moment)
            at = number * plan.contact_gap + place * EDITION_GAP
            older = any(other > edition for other in editions[:place])
            id = f"msg_{run}{number:04}{edition}"
            yield Sending(FORM, id, email, moment, "", body, at, Again.NO, Signed.WELL, older)


def _of_shop(plan: Plan, run: str, now: datetime) -> Iterator[Sending]:
    for number in range(plan.customers):
        email = f"shopper{number:04}@example.com"
        editions = ORDERS_OF_EDITIONS[number % len(ORDERS_OF_EDITIONS)]
        for place, edition in enumerate(editions):
            moment = (now - OLDEST + number * timedelta(seconds=1) + edition * EDITION_AGE).replace(microsecond=0)
            at = number * plan.customer_gap + place * EDITION_GAP
            body = bodies.customer(email, number, edition, moment, changed=at >= plan.drift_at)
            older = any(other > edition for other in editions[:place])
            id = f"{bodies.topic(edition)}/{run}-{number:04}-{edition}"
            yield Sending(SHOP, id, email, moment, bodies.topic(edition), body, at, Again.NO, Signed.WELL, older)


def _forged(plan: Plan, run: str, now: datetime) -> Iterator[Sending]:
    for number in range(plan.forged):
        sender = (FORM, SHOP)[number % 2]
        signed = FORGERIES[sender][number // 2 % len(FORGERIES[sender])]
        email = f"forged{number:04}@example.com"
        moment = now.replace(microsecond=0)
        if sender == FORM:
            body = bodies.contact(email, number, 0, moment)
        else:
            body = bodies.customer(email, number, 0, moment, changed=False)
        topic = bodies.topic(0) if sender == SHOP else ""
        at = number * plan.forged_gap
        id = f"{topic}/forged-{run}-{number}" if topic else f"msg_forged{run}{number}"
        yield Sending(sender, id, email, moment, topic, body, at, Again.NO, signed, older=False)

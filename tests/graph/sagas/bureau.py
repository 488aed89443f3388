"""A saga of two services in one flow: a time-out, a watch, and a step that speaks when it dies."""

from datetime import timedelta

from hocket import Death, Event, Heard, Service, Tx
from tests.graph.sagas.outside import ONCE, Outside, uses


class Asked(Heard, type="client.asked"):
    case: str


class Beat(Heard, type="client.beat"):
    case: str


class Answered(Event, type="clerk.answered", subject="case/{case}"):
    case: str


class GaveUp(Event, type="clerk.gave_up", subject="case/{case}"):
    case: str


class Withdrawn(Event, type="clerk.withdrawn", subject="case/{case}"):
    case: str


class Expired(Event, type="bureau.expired", subject="case/{case}"):
    case: str


class Silent(Event, type="bureau.silent", subject="case/{case}"):
    case: str


bureau = Service("bureau", owner="tests", uses=uses)
clerk = Service("clerk", owner="tests", uses=uses)


@bureau.overdue(timedelta(hours=1), unless=(Answered, GaveUp), by="case", late="undone", retry=ONCE)
async def unanswered(asked: Asked, tx: Tx[Outside]) -> Expired:
    return Expired(case=asked.case)


@bureau.overdue(timedelta(hours=1), unless=Beat, by="case", across=True, retry=ONCE)
async def watch(beat: Beat, tx: Tx[Outside]) -> Silent:
    return Silent(case=beat.case)


@clerk.handler(retry=ONCE)
async def answer(asked: Asked, tx: Tx[Outside]) -> Answered | None:
    return Answered(case=asked.case) if await tx.use.act(tx, "answer", asked.case) else None


@clerk.on_dead(answer)
def give_up(asked: Asked, death: Death) -> GaveUp:
    return GaveUp(case=asked.case)


@clerk.undo(answer, Answered, by="case", retry=ONCE)
async def withdraw(asked: Asked, did: Answered | None, why: Expired | GaveUp, tx: Tx[Outside]) -> Withdrawn:
    await tx.use.act(tx, "withdraw", asked.case)
    return Withdrawn(case=asked.case)


SERVICES = (bureau, clerk)

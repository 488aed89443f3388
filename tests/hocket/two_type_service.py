"""A service that hears two types on one subscription."""

from hocket import Event, Heard, Service, Tx
from tests.hocket.sample_services import Rung, World, uses


class RungTwice(Heard, type="bell.rung_twice"):
    name: str


class Answered(Event, type="twin.echoed", subject="bell/{name}"):
    name: str


twins = Service("twins", owner="team-tower", uses=uses)


@twins.handler
async def answer(rung: Rung | RungTwice, tx: Tx[World]) -> Answered:
    tx.use.keys.append(tx.idempotency_key)
    return Answered(name=rung.name)

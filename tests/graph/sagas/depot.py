"""A saga of two steps in one service, undone across flows and remembered; a recall names one of two parcels."""

from datetime import timedelta

from hocket import Event, Heard, Service, Tx
from tests.graph.sagas.outside import ONCE, TWICE, Outside, uses

REMEMBER = timedelta(days=90)


class Ordered(Heard, type="desk.ordered"):
    parcel: str


class Recalled(Heard, type="desk.recalled"):
    parcel: str


class Picked(Event, type="depot.picked", subject="parcel/{parcel}"):
    parcel: str


class PutBack(Event, type="depot.put_back", subject="parcel/{parcel}"):
    parcel: str


class Packed(Event, type="depot.packed", subject="parcel/{parcel}"):
    parcel: str


class Unpacked(Event, type="depot.unpacked", subject="parcel/{parcel}"):
    parcel: str


depot = Service("depot", owner="tests", uses=uses)


@depot.handler(retry=TWICE)
async def pick(order: Ordered, tx: Tx[Outside]) -> Picked | None:
    return Picked(parcel=order.parcel) if await tx.use.act(tx, "pick", order.parcel) else None


@depot.undo(pick, Picked, by="parcel", across=True, remember=REMEMBER, retry=ONCE)
async def put_back(order: Ordered, did: Picked | None, why: Recalled, tx: Tx[Outside]) -> PutBack:
    await tx.use.act(tx, "put_back", order.parcel)
    return PutBack(parcel=order.parcel)


@depot.handler(retry=ONCE)
async def pack(picked: Picked, tx: Tx[Outside]) -> Packed | None:
    return Packed(parcel=picked.parcel) if await tx.use.act(tx, "pack", picked.parcel) else None


@depot.undo(pack, Packed, by="parcel", across=True, remember=REMEMBER, retry=ONCE)
async def unpack(picked: Picked, did: Packed | None, why: Recalled, tx: Tx[Outside]) -> Unpacked:
    await tx.use.act(tx, "unpack", picked.parcel)
    return Unpacked(parcel=picked.parcel)


SERVICES = (depot,)

"""The relay after an outage: what ends its probing."""

from hocket.broker.port import Message, Published, Verdict
from hocket.store.records import OutboxRow, RowKind
from tests.hocket.sample_services import Processes, World, bells


async def test_only_the_answer_to_the_probe_lets_the_rest_go(tower: Processes) -> None:
    """RULES 4.4: a confirm of what set out before the cut says nothing of the new connection."""
    worker = await tower.start(bells.using(World()))
    await tower.quiet()
    row = OutboxRow(RowKind.RECEIPT, Message("hocket.receipts", "", b"[]", "application/json"), 0.0)
    relay = worker.relay
    lost, confirmed = Published(Verdict.UNKNOWN, "the connection was lost"), Published(Verdict.CONFIRMED)
    probing: list[bool] = []
    for answer, probe in ((lost, False), (confirmed, False), (lost, True), (confirmed, False), (confirmed, True)):
        await relay._answered([row], [answer], probe)
        probing.append(relay._probing)
    assert probing == [True, True, True, True, False]

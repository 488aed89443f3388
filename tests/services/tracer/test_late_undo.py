"""RULES 5.8: an undo that is late makes a zombie by the clock alone, in the tracer's lists and counts."""

from datetime import timedelta
from typing import Any

from hocket.testing import fake_tx
from services.tracer.ask.flows import Filter, count_states, list_flows, needing
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.own import waiting_to_be_folded
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep.summaries import fold_unfolded
from services.tracer.keep.tables import tables
from services.tracer.service import Settings
from tests.services.tracer.sample_facts import MANIFESTS, rejected
from tests.services.tracer.test_handlers import events as log_of
from tests.services.tracer.test_handlers import facts


def with_budget(seconds: float) -> list[dict[str, Any]]:
    """The shop's manifests; each subscription says how long its attempts take together."""
    return [
        {**each, "subscriptions": [{**one, "budget": seconds} for one in each["subscriptions"]]} for each in MANIFESTS
    ]


async def test_a_late_undo_is_counted_without_a_further_fact() -> None:
    """RULES 5.8: the flow is running until the retry budget of its undo is over; then it is a zombie, and listed."""
    tx = fake_tx(uses=Settings(), tables=tables)
    await read_receipts([facts(*with_budget(3600.0))], tx)
    story = rejected(1, tx.time - timedelta(minutes=1)).until(5.0)
    await read_log(log_of(story), tx)
    await read_receipts([facts(*story.receipts)], tx)
    db = await tx.db()
    while await fold_unfolded(db, tx.time):
        pass

    async def states() -> dict[str, int]:
        found, _ = await count_states(db, tx.time)
        return {each.state: each.many for each in found if each.many}

    assert await states() == {"running": 1}
    assert not await waiting_to_be_folded(db, tx.time)
    later = tx.time + timedelta(hours=1)
    assert await waiting_to_be_folded(db, later)
    assert await fold_unfolded(db, later) == 1
    assert await states() == {"zombie": 1}
    known = await knowledge(db)
    assert [each.subject for each in (await list_flows(db, Filter(state="zombie"), known)).lines] == ["order/1"]
    assert [each.id for each in await needing(db, known, later)] == [story.flow]
    assert not await waiting_to_be_folded(db, later)

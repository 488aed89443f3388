"""The facts about webhooks, as both consoles read them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hocket.console.facts import read_facts
from hocket.console.webhook_facts import WebhookCounts, WebhookFact
from hocket.store.records import OutboxRow, RowKind
from hocket.worker.webhooks.counts import Counts
from hocket.worker.webhooks.ends import End
from hocket.worker.webhooks.kept import Waits
from tests.hocket.worker.webhooks.running import Mind, form, running


async def test_facts_tell_what_is_kept_and_how_pushes_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 12.2: a kept one by the transaction that keeps it; counts by the next fact."""
    async with running(tmp_path, Mind(broken="x")) as door:
        taken: list[OutboxRow] = []
        monkeypatch.setattr(door.part.worker.webhooks.custody, "committed", taken.extend)
        answer = await door.form(form())
        told = [row.message.body for row in taken if row.kind is RowKind.RECEIPT]
        facts = [fact for body in told for fact in read_facts(body, "1")[0]]
        [kept] = [fact for fact in facts if isinstance(fact, WebhookFact)]
        assert (kept.source, kept.state, kept.cause, kept.delivery) == ("crm", "kept", "mapping", "msg_1")
        assert kept.correlationid == answer.flow
        assert "ada" not in kept.error


def test_counts_are_told_whole_and_only_when_they_change() -> None:
    """RULES 12.2: so that no fact depends on another one's arrival."""
    counts, at = Counts(), datetime(2026, 1, 1, tzinfo=UTC)
    assert counts.fact({}) is None
    counts.add("crm", End.SAID, at)
    counts.add("crm", End.SAID, at)
    counts.add("", End.UNKNOWN, at)
    told = counts.fact({"crm": Waits(1, 0.0)})
    assert told is not None
    assert counts.fact({"crm": Waits(1, 0.0)}) is None
    about = {"service": "door", "instance": "i", "boot": "b", "time": "2026-01-01T00:00:00Z"}
    [fact], aside = read_facts(json.dumps([{**told, **about}]).encode(), "1")
    assert aside == []
    assert isinstance(fact, WebhookCounts)
    assert fact.counts == {"crm": {"said": 2}, "": {"unknown": 1}}
    assert (fact.kept, fact.last["crm"]["said"]) == ({"crm": 1}, at)

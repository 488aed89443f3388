"""`hocket webhooks` on a service that does not run, and beside one that does."""

import asyncio
import json
from pathlib import Path

import pytest

from hocket.console import MASKED
from tests.hocket.cli.terminal import Terminal
from tests.hocket.worker.webhooks.running import Mind, form, running


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a webhook that was kept, in the database of a service that has stopped."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")

    async def keep() -> str:
        async with running(tmp_path, Mind(broken="no")) as door:
            await door.form(form())
            [row] = await door.kept()
            return str(row.id)

    return asyncio.run(keep())


def test_what_was_kept_is_listed_shown_and_discarded(hocket: Terminal, kept: str) -> None:
    """RULES 12.2: sensitive values are masked; what is settled is refused with status 1."""
    [row] = json.loads(hocket("webhooks", "list", "door", "--json").out)
    assert (row["id"], row["cause"], row["state"]) == (kept, "mapping", "kept")
    assert "mapping" in hocket("webhooks", "list", "door", "--source", "crm").out
    assert hocket("webhooks", "list", "door", "--cause", "drift").out == "Nothing is kept.\n"
    told = hocket("webhooks", "show", "door", kept).out
    assert "msg_1" in told
    assert json.loads(hocket("webhooks", "show", "door", kept, "--json").out)["body"]["email"] == MASKED
    assert "ada" not in told
    assert hocket("webhooks", "discard", "door", kept, "--reason", "x").out == f"{kept} is discarded.\n"
    ended = hocket("webhooks", "retry", "door", kept)
    assert (ended.status, ended.err) == (1, f"hocket: {kept} is settled: discarded; nothing is left to be tried\n")
    assert json.loads(hocket("webhooks", "list", "door", "--state", "discarded", "--json").out)[0]["id"] == kept


def test_a_retry_is_kept_for_the_service(hocket: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 12.9: while nothing runs it is asked for, and done when the service starts."""
    monkeypatch.setattr("hocket.cli.commands.webhooks.TRY_SECONDS", 0.3)
    ended = hocket("webhooks", "retry", "door", "--cause", "mapping", "--reason", "mended")
    assert (ended.status, ended.out) == (0, "1 not tried yet: the service tries them as soon as it runs.\n")
    assert hocket("webhooks", "retry", "door").status == 2


async def test_beside_a_running_service_it_is_done_at_once(
    hocket: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 12.9: the service that runs is asked, and says how it ended."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    mind = Mind(broken="no")
    async with running(tmp_path, mind) as door:
        answer = await door.form(form())
        [row] = await door.kept()
        ended = await asyncio.to_thread(hocket, "webhooks", "retry", "door", row.id)
        assert (ended.status, ended.out) == (1, f"{row.id} stays kept: mapping: RuntimeError: no *****\n")
        mind.broken = ""
        ended = await asyncio.to_thread(hocket, "webhooks", "retry", "door", row.id)
        assert (ended.status, ended.out) == (0, f"{row.id} is said, in flow {answer.flow}.\n")

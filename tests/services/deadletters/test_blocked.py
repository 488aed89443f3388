"""A dead head of an ordered subscription at the desk: it says that it blocks, and a discard lets its subject go."""

from datetime import timedelta

import pytest

from hocket import Event, Heard, Retry, Service, Tx
from hocket.testing import play
from services.deadletters.act.discard import discard
from services.deadletters.act.replay import replay
from services.deadletters.ask.replay_plan import planned
from services.deadletters.service import deadletters
from services.deadletters.show.views import whole
from tests.services.deadletters.test_flow import letters

LONG = timedelta(minutes=5)
ILL: set[str] = set()
DONE: list[str] = []

clerk = Service("clerk", owner="team-tests")


class Moved(Heard, type="yard.moved"):
    name: str


class Filed(Event, type="clerk.filed", subject="file/{name}"):
    name: str


@clerk.handler(ordered=True, retry=Retry(retries=1, first=timedelta(seconds=1)))
async def file(moved: Moved, tx: Tx) -> Filed:
    """Fail, or file it."""
    if moved.name in ILL:
        raise ValueError("ill")
    DONE.append(moved.name)
    return Filed(name=moved.name)


@pytest.mark.parametrize("way", ["discard", "replay"])
async def test_a_blocked_subject_goes_on(way: str) -> None:
    """RULES 9.6: the letter names the subject and who waits; a discard or a replay at the desk lets it go on."""
    DONE.clear()
    ILL.add("1")
    async with play(clerk, deadletters, seed=7) as stage:
        for name in ("1", "2", "3"):
            await stage.hear(Moved(name=name), key=name, subject="yard/7")
        await stage.advance(LONG)
        [letter] = await letters("clerk.file.ordered")
        async with deadletters.tx() as tx:
            db = await tx.read()
            shown = await whole(db, await planned(db, letter["id"], tx.time))
        assert shown["blocks"] == "yard/7"
        assert shown["waiting"] == 2
        assert DONE == []
        ILL.clear()
        if way == "discard":
            await discard(letter["id"], who="mia", reason="nobody needs it")
        else:
            await replay(letter["id"], who="mia", reason="mended")
        await stage.advance(LONG)
        assert (["2", "3"] if way == "discard" else ["1", "2", "3"]) == DONE
        [letter] = await letters("clerk.file.ordered")
        assert letter["state"] == ("discarded" if way == "discard" else "handled")

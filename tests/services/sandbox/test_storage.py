"""The books: written in groups, decided in order, read by pages."""

from services.sandbox import storage
from services.sandbox.domain import Api, Asked, Did, Slip, Target, Verdict
from tests.services.databases import database

HOLD = {"order_id": "A1", "card": "tok", "total_cents": 999}


def _hold(key: str) -> Slip:
    return Slip(Asked(Api.AUTHORISATIONS, key, HOLD, 1.0))


async def test_a_group_is_decided_in_order(address: str) -> None:
    """Within one group and from group to group the same key acts once."""
    async with database(storage.tables, address) as db:
        undo = Slip(Asked(Api.VOIDS, "v1", {"order_id": "A1", "original": "k1"}, 1.0))
        first = await storage.book(db, [_hold("k1"), _hold("k1"), undo, _hold("k2")], 2.0)
        assert [line.verdict.did for line in first] == [Did.AUTHORISED, Did.REPEATED, Did.VOIDED, Did.AUTHORISED]
        takes = [
            Slip(
                Asked(Api.CAPTURES, f"c{n}", {"order_id": "A1", "authorisation_id": f"au_k{n}", "total_cents": 1}, 1.0)
            )
            for n in (1, 2)
        ]
        second = await storage.book(db, [_hold("k1"), _hold("k2"), *takes], 3.0)
        assert [(line.verdict.status, line.verdict.did) for line in second] == [
            (409, Did.NONE), (201, Did.REPEATED), (409, Did.REJECTED), (201, Did.CAPTURED),
        ]  # fmt: skip
        assert [line.id for line in [*first, *second]] == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_line_is_read_as_it_was_written(address: str) -> None:
    """Request, times, fault and answer come back; a late line ends when its answer is given."""
    async with database(storage.tables, address) as db:
        down = Slip(Asked(Api.MESSAGES, "m1", {"to": "a@b"}, 1.25, "down"), Verdict(503, Did.NONE, {"error": "down"}))
        late = Slip(Asked(Api.MESSAGES, "m2", {"to": "a@b", "title": "ä"}, 1.5, "timeout_after"), late=True)
        lines = await storage.book(db, [down, _hold("k1"), late], 2.0)
        assert await storage.page(db, Target.MAIL, 0, 10) == [lines[0], lines[2]]
        assert (lines[0].ended, lines[2].ended) == (2.0, None)
        await storage.answered(db, lines[2].id, 4.5)
        read = await storage.page(db, Target.MAIL, 0, 10)
        assert (read[1].ended, read[1].asked.request) == (4.5, {"to": "a@b", "title": "ä"})
        assert [line.asked.key for line in await storage.page(db, Target.MAIL, 0, 10, Did.SENT)] == ["m2"]


async def test_pages_meet_without_gap_or_double(address: str) -> None:
    """Following the numbers visits every line of one target once, in order."""
    async with database(storage.tables, address) as db:
        for number in range(5):
            message = Slip(Asked(Api.MESSAGES, f"m{number}", {}, 1.0))
            await storage.book(db, [message, _hold(f"k{number}")], 2.0)
        seen, after = list[str](), 0
        while page := await storage.page(db, Target.CARDS, after, 2):
            seen += [line.asked.key for line in page]
            after = page[-1].id
        assert seen == ["k0", "k1", "k2", "k3", "k4"]
        assert await storage.page(db, Target.CARDS, 2**62, 2) == []

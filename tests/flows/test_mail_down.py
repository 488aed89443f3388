"""The mail system fails for one address: that mail becomes a dead letter, its neighbours go out."""

from services.orders.events import OrderConfirmed
from services.sandbox.domain import Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, place, shop


async def test_a_mail_that_cannot_be_sent_is_kept() -> None:
    """The order is confirmed all the same; the letter names the one subscription that failed."""
    outside = FakeOutside()
    outside.fault(Target.MAIL, Kind.DOWN, to="lost@example.com")
    async with shop(outside) as stage:
        for number, email in enumerate(("ada@example.com", "lost@example.com", "bob@example.com")):
            await place(order(email=email), f"key-{number}")
        await stage.advance(LONG)
        assert len(stage.said_of(OrderConfirmed)) == 3
        assert list(stage.dead) == ["notifications.tell_customer"]
        assert not list(stage.zombies)
    assert sorted(outside.mailbox()) == [("ada@example.com", "confirmation"), ("bob@example.com", "confirmation")]


async def test_a_mail_whose_answer_was_lost_goes_out_once() -> None:
    """Asked again under the same key, the mail system answers and sends nothing more."""
    outside = FakeOutside()
    outside.fault(Target.MAIL, Kind.TIMEOUT_AFTER, times=2)
    async with shop(outside) as stage:
        await place(order(), "key-1")
        await stage.advance(LONG)
        assert not list(stage.dead)
    assert outside.did(Target.MAIL) == [Did.SENT, Did.REPEATED, Did.REPEATED]
    assert outside.mailbox() == [("ada@example.com", "confirmation")]

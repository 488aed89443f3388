"""Which mail belongs to which event."""

from services.notifications.domain import mail_of
from services.notifications.events import LeadCaptured, OrderCancelled, OrderConfirmed


def test_each_event_has_its_mail() -> None:
    """A confirmation, an apology with its reason, a farewell, a welcome: each to the address in the event."""
    confirmed = mail_of(OrderConfirmed(order_id="A1", email="ada@example.com"))
    assert (confirmed.to, confirmed.kind, confirmed.about) == ("ada@example.com", "confirmation", "order/A1")
    cancelled = mail_of(OrderCancelled(order_id="A1", email="ada@example.com", reason="no stock", by="shop"))
    assert (cancelled.to, cancelled.kind, cancelled.about) == ("ada@example.com", "apology", "order/A1")
    assert "no stock" in cancelled.text
    returned = mail_of(OrderCancelled(order_id="A1", email="ada@example.com", reason="too dark", by="customer"))
    assert (returned.to, returned.kind, returned.about) == ("ada@example.com", "cancellation", "order/A1")
    assert "sorry" not in returned.text
    welcome = mail_of(LeadCaptured(email="bob@example.com", campaign="spring", delivery="d-1"))
    assert (welcome.to, welcome.kind, welcome.about) == ("bob@example.com", "welcome", "lead/bob@example.com")
    assert ("spring" in welcome.text, welcome.delivery, confirmed.delivery) == (True, "d-1", "")
    assert "our shop" in mail_of(LeadCaptured(email="bob@example.com", campaign="")).text

"""Which mail belongs to which event. Pure."""

from dataclasses import dataclass
from typing import Literal

from services.notifications.events import LeadCaptured, OrderCancelled, OrderConfirmed


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one person."""

    to: str
    kind: Literal["confirmation", "apology", "cancellation", "welcome"]
    about: str  # the subject of the event it tells of
    title: str
    text: str
    delivery: str = ""  # of a lead: what its sender calls it


def mail_of(event: OrderConfirmed | OrderCancelled | LeadCaptured) -> Mail:
    """The mail that tells a person of this event."""
    match event:
        case OrderConfirmed():
            title = f"Your order {event.order_id} is confirmed"
            text = f"Thank you. Your order {event.order_id} is confirmed; you pay when it is on its way."
            return Mail(event.email, "confirmation", f"order/{event.order_id}", title, text)
        case OrderCancelled(by="customer"):
            title = f"Your order {event.order_id} is cancelled"
            text = f"You have cancelled your order {event.order_id}. What you paid comes back."
            return Mail(event.email, "cancellation", f"order/{event.order_id}", title, text)
        case OrderCancelled():
            title = f"Your order {event.order_id} is cancelled"
            text = f"We are sorry: your order {event.order_id} is cancelled ({event.reason}). You pay nothing."
            return Mail(event.email, "apology", f"order/{event.order_id}", title, text)
        case LeadCaptured():
            text = f"Welcome, and thank you for your interest in {event.campaign or 'our shop'}."
            return Mail(event.email, "welcome", f"lead/{event.email}", "Welcome", text, event.delivery)

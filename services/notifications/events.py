"""What notifications hears; it says nothing."""

from hocket import Heard, Sensitive


class OrderConfirmed(Heard, type="order.confirmed"):
    """An order came to a good end."""

    order_id: str
    email: Sensitive[str]


class OrderCancelled(Heard, type="order.cancelled"):
    """An order came to nothing."""

    order_id: str
    email: Sensitive[str]
    reason: str


class LeadCaptured(Heard, type="lead.captured"):
    """Somebody showed interest."""

    email: Sensitive[str]
    campaign: str

"""What notifications hears; it says nothing."""

from typing import Literal

from hocket import Heard, Sensitive


class OrderConfirmed(Heard, type="order.confirmed"):
    """An order can be kept: its money is held and its goods are taken."""

    order_id: str
    email: Sensitive[str]


class OrderCancelled(Heard, type="order.cancelled"):
    """An order came to nothing."""

    order_id: str
    email: Sensitive[str]
    reason: str
    by: Literal["customer", "shop"]


class LeadCaptured(Heard, type="lead.captured"):
    """Somebody showed interest."""

    email: Sensitive[str]
    campaign: str
    delivery: str = ""  # what the sender calls it; none in what was said before there was one

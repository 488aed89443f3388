"""Shipping: hands an order's goods to the carrier, calls them back when the order fails, tells when they arrived."""

from services.shipping import handlers, http
from services.shipping.service import shipping

__all__ = ["handlers", "http", "shipping"]

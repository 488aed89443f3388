"""Order view: what customers and clerks ask of orders and of a customer's history, built from what the others say."""

from services.order_view import handlers, http
from services.order_view.service import order_view

__all__ = ["handlers", "http", "order_view"]

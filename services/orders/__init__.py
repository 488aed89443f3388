"""Orders: placed and cancelled over HTTP, confirmed, shipped, delivered or cancelled by what the others say."""

from services.orders import handlers, http
from services.orders.service import orders

__all__ = ["handlers", "http", "orders"]

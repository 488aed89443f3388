"""Payments: charges the card of an order, gives back what a failed order left behind."""

from services.payments import handlers
from services.payments.service import payments

__all__ = ["handlers", "payments"]

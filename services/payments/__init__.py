"""Payments: holds an order's money, takes it when the parcel is on its way, gives it back when the order fails."""

from services.payments import handlers
from services.payments.service import payments

__all__ = ["handlers", "payments"]

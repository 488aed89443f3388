"""Notifications: one mail for each turn that an order takes and each lead that came, never two."""

from services.notifications import handlers
from services.notifications.service import notifications

__all__ = ["handlers", "notifications"]

"""Notifications: one mail for each order that ended and each lead that came, never two."""

from services.notifications import handlers
from services.notifications.service import notifications

__all__ = ["handlers", "notifications"]

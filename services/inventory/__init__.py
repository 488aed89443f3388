"""Inventory: takes an order's goods at the shop system, gives them back when the order fails."""

from services.inventory import handlers
from services.inventory.service import inventory

__all__ = ["handlers", "inventory"]

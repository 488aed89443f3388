"""Inventory: takes an order's goods at the shop system, gives them back when that went wrong half-way."""

from services.inventory import handlers
from services.inventory.service import inventory

__all__ = ["handlers", "inventory"]

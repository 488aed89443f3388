"""Sandbox: the outside world to try things on: cards, stock, carrier, crm and mail, with books and faults on demand."""

from services.sandbox import http
from services.sandbox.service import sandbox

__all__ = ["http", "sandbox"]

"""Sandbox: the outside world to try things on: cards, stock, crm and mail, with books and with faults on demand."""

from services.sandbox import http
from services.sandbox.service import sandbox

__all__ = ["http", "sandbox"]

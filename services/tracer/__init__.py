"""The tracer shows where every flow and every subject is, now or at a past moment."""

from services.tracer import handlers, http
from services.tracer.service import tracer

__all__ = ["handlers", "http", "tracer"]

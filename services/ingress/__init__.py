"""Ingress: takes leads that others post or push, and says each of them once."""

from services.ingress import handlers, http
from services.ingress.service import ingress

__all__ = ["handlers", "http", "ingress"]

"""Ingress: takes leads that others push, and says each of them once."""

from services.ingress import http
from services.ingress.service import ingress

__all__ = ["http", "ingress"]

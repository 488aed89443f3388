"""Scoring: says how promising a lead is, by the newest that its sender told of it."""

from services.scoring import handlers, http
from services.scoring.service import scoring

__all__ = ["handlers", "http", "scoring"]

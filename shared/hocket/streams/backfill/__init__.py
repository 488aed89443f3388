"""Backfill: a new subscription reads history from the log, then goes over to its queue (RULES 7.5)."""

"""Refills a queue that was deleted: attempts that waited in it are sent again, from the log (RULES 7.5 j)."""

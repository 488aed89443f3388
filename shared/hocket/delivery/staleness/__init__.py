"""Staleness and predecessors (RULES 15): what a delivery is to its subject, decided when it is admitted."""

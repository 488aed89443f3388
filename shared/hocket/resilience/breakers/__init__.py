"""Breakers whose state the replicas of a service share by one row in their database (RULES 6)."""

"""The checks of a push before it is taken into custody: signature, clock, rates (RULES 12.1, 12.7, 12.8)."""

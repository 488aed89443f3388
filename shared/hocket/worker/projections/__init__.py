"""Runs the generations of a service's projections: begins, fills, swaps and drops them, and reads them (RULES 14)."""

"""Projections as they are declared, and the tables of their generations."""

"""Drift: how what arrives differs from what a model reads; paths and counts, never values (RULES 16)."""

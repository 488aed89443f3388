"""The model of projections: generations that are built, compared, swapped in and dropped (RULES 14)."""

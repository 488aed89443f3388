"""Generations of projections (RULES 14): what each is, what may follow, and how deliveries are folded into them."""

"""How fast a new subscription hears history, and what live work feels of it (RULES 7.5 g)."""

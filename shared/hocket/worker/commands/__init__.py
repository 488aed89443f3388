"""Commands: the same `Idempotency-Key`, the same answer (RULES 13)."""

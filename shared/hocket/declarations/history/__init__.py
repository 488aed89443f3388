"""The options of handlers that hear history (RULES 7.5)."""

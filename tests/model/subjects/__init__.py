"""Models of what a store keeps of subjects (RULES 15)."""

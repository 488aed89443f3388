"""What a store keeps of subjects: the latest value that a handler has handled, and marks of predecessors (RULES 15)."""

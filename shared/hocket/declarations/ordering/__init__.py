"""What a team declares of the order of a subscription."""

"""What pauses the intake of a subscription."""

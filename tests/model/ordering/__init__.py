"""The model of ordered subscriptions."""

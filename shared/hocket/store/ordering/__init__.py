"""Ordered subscriptions in the store: tokens, lines of subjects, and what a group of endings makes of them."""

"""From what was said to what the broker confirmed: rows are built, kept in order, and published by the relay alone.

Imports the store's and the broker's port. Used by `delivery/` (what a handler said), `service.tx()` and `worker/`.
"""

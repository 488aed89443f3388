"""The outbox: builds rows of events that were said, keeps their order, and publishes them by the relay alone.

Imports the store's and the broker's port. Used by `delivery/` (what a handler said), `service.tx()` and `worker/`.
"""

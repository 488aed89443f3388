"""The outbox: builds rows of events that were said, keeps their order, and publishes them by the relay alone.

Imports every floor below, ports but no driver. Used by `delivery/` (what a handler said), by `worker/`, which
runs the relay and serves `service.tx()`, and by `hocket say`.
"""

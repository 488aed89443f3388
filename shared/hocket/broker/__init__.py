"""The broker: the port through which the kit publishes, subscribes and administers, the topology, the drivers.

The files here are the port (`port.py`) and the topology; they import nothing of the kit. Used by `store/` (an outbox
row carries a message) and by every room that talks to the broker or names its objects. The drivers are in `memory/`
and `rabbitmq/`; only `hocket.assembly` and `hocket.testing` import them.
"""

"""The broker: the port through which the kit publishes, subscribes and administers, the topology, the drivers.

The files here are the port (`port.py`) and the topology; they import `errors` alone and are used by every folder that
talks to the broker. The drivers are in `memory/` and `rabbitmq/`; only `hocket.assembly` and `hocket.testing` import
them.
"""

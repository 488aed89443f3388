"""Publishing, consuming and administering: the port (`port.py`), the topology, and the drivers.

Drivers stand in `memory/` and `rabbitmq/`; `hocket.assembly` picks one, nobody else imports them. The port imports
the ground floor alone; every other room talks to the broker through it.
"""

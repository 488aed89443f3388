"""Operating the broker's objects: list them, remove those no longer declared, print a definitions file.

Uses the management API and AMQP. Imports the port, the topology and the driver's `address`, `connection` and `errors`.
Used by `hocket topology`, through `hocket.assembly`.
"""

"""What an operator does with the broker's objects: look at them, remove leftovers, print a definitions file.

Speaks the management API. Imports the port and the topology. Used by `hocket topology`, through `hocket.assembly`.
"""

"""What keeps a process going: circuit breakers, time limits, supervised tasks, and retrying.

Imports the ground floor and `telemetry/`; knows nothing of the store or the broker. Used by `tx` and by the rooms that
run handlers, publish or hold a connection.
"""

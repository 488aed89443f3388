"""What keeps a process going: circuit breakers, time limits, supervised tasks, and trying again.

Knows nothing of the store or the broker. Used by the rooms that run handlers, publish or hold a connection.
"""

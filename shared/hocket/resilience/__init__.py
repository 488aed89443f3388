"""What keeps a process going: circuit breakers, time limits, supervised tasks, and trying again.

Imports neither store nor broker. Used by every folder that runs handlers, publishes or reads.
"""

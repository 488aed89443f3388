"""SQLite: the embedded default, one process a file, one writer.

Implements `hocket.store.port`. What it cannot do: no second process on the same file, so no replicas.
"""

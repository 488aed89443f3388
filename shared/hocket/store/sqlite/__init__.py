"""SQLite, the default: one file, one process, one writer at a time; so no replicas.

Implements `hocket.store.port`; begin with `store.py`. Imports `hocket.store` and nothing above it. Used by `assembly/`
and `testing/` alone.
"""

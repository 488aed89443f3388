"""SQLite, the default: one file, one process, one writer at a time; so no replicas.

Implements `hocket.store.port`; begin with `store.py`. Imports the ground floor and `hocket.store`. Used by `assembly/`
and `testing/` alone.
"""

"""PostgreSQL by asyncpg: for production, where replicas of a service share a database and hold leases.

Implements `hocket.store.port`; begin with `store.py`. Imports the ground floor and `hocket.store`. Used by `assembly/`
alone.
"""

"""PostgreSQL by asyncpg: for production, where replicas of a service share a database and hold leases.

Implements `hocket.store.port`.
"""

"""Keeps facts and summaries of flows in the database: the tables, and every statement that writes.

Imports `read` and `fold`. Used by `handlers`, which write, and by `ask`, which reads.
"""

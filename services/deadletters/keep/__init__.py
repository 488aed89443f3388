"""Keeps letters, receipts and acts in the database: the tables, and every statement that writes.

Imports `read` and `fold`. Used by `handlers` and `act`, which write, and by `ask`, which reads.
"""

"""Answers questions from the database: lists and groups of letters, and what a replay would do.

Imports `read`, `fold` and `keep`; writes nothing. Used by `act`, `show` and `http`.
"""

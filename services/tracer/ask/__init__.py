"""Answers questions from the database: flows, subjects, services, breakers, and how the tracer itself stands.

Imports `read`, `fold` and `keep`; writes nothing. Used by `show` and `http`.
"""

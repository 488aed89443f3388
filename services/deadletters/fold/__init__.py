"""Decides what the facts of a letter mean: its state, its cause, what a replay would do. Pure.

Imports `read`. Used by `keep`, which stores the state, and by `ask`, `act` and `show`.
"""

"""Folds the facts of one flow into its state, in whatever order they came. Pure.

Imports `read`. Used by `keep`, which stores a summary of each flow, and by `ask` and `show`.
"""

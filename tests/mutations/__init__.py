"""Breaks rules of delivery one at a time, to show that the tests that docs/rules.md names for them can fail.

`table.py` lists the breakages; `python -m tests.mutations [RULE …]` runs them, and `test_mutations.py` does so in the
suite.
"""

"""Whole sagas as state graphs: every order in which deliveries arrive, against the product's own decisions and rows.

The product decodes, admits, decides, records and commits; its SQLite statements keep the rows, in memory. The test owns
what is around: queues, processes that crash and pause, the outside and its books. `python -m tests.graph` visits the
whole scopes and counts states and histories, `--bugs` plants bugs in the product and prints how each is found.
"""

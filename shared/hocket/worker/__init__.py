"""One running service: starts its parts, runs them, and stops them in an order that loses nothing (RULES 1.2).

May import every folder below it. Used by `hocket.assembly`, `hocket.testing` and tests.
"""

from hocket.worker.worker import Worker

__all__ = ["Worker"]

"""One running service: opens its parts, works, and stops in the order that loses nothing (RULES 1.2).

Imports every room below. Used by `hocket.assembly`, `hocket.testing` and tests.
"""

from hocket.worker.worker import Worker

__all__ = ["Worker"]

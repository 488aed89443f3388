"""One running service: the worker and what it runs beside deliveries: HTTP, lease, reports, retention, topology.

May import every folder below it. Used by `hocket.assembly`, `hocket.testing` and tests.
"""

from hocket.worker.worker import Worker

__all__ = ["Worker"]

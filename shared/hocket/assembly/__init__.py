"""Puts a process together: the one place that picks drivers, runs several services, or runs inside an application.

Used by the command line and by applications (`hocket.assembly.hosted`).
"""

from hocket.assembly.hosting import hosted
from hocket.assembly.process import Assembly, StartedService
from hocket.assembly.run import run

__all__ = ["Assembly", "StartedService", "hosted", "run"]

"""Assembles a process: picks drivers, starts one or several services, also inside another application.

Used by the command line and by applications (`hocket.assembly.hosted`).
"""

from hocket.assembly.hosting import hosted
from hocket.assembly.process import Assembly, StartedService
from hocket.assembly.run import run

__all__ = ["Assembly", "StartedService", "hosted", "run"]

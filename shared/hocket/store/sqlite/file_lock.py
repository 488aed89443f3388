"""One process holds a SQLite file: a lock beside it, with the holder's process id."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from hocket.errors import ConfigError
from hocket.resilience import forks

#: Longest pid read back from a lock file, in bytes.
MAX_PID_BYTES = 20


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of the SQLite file `path` now."""
    try:
        descriptor = os.open(_lock_of(path), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


class FileLock:
    """The lock `PATH.lock` that one process holds as long as it lives (RULES 3.3); it carries the holder's pid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _lock_of(path)
        self._held: int | None = None

    def acquire(self) -> None:
        """Acquire it, or raise `ConfigError`: held by which process, or a folder that cannot be written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(
                f"database {self._path} cannot be locked, {self._lock} cannot be written ({error.strerror}): "
                "give this user the right to write the folder, or set HOCKET_DATABASE_URL to another one"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(descriptor, MAX_PID_BYTES, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise ConfigError(
                f"database {self._path} is held by process {pid or 'unknown'}: an SQLite file serves one process; "
                "stop that one, or use a PostgreSQL database for several"
            ) from error
        try:
            os.ftruncate(descriptor, os.pwrite(descriptor, str(os.getpid()).encode(), 0))
        except OSError as error:
            os.close(descriptor)
            raise ConfigError(
                f"database {self._path} cannot be locked, {self._lock} cannot be written ({error.strerror}): "
                "free some space on the disk, or set HOCKET_DATABASE_URL to another one"
            ) from error
        forks.close_in_children(descriptor)  # a child of a killed process would hold the file
        self._held = descriptor

    def release(self) -> None:
        """Release it; the file stays, because deleting it would race with the next holder."""
        if self._held is not None:
            held, self._held = self._held, None
            forks.closed(held)
            with suppress(OSError):  # the pid in it is a help only
                os.ftruncate(held, 0)
            os.close(held)

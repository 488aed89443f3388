"""What can go wrong with a database file, in sentences, and the lock that lets one process hold it."""

import fcntl
import os
import sqlite3
from pathlib import Path

from hocket.errors import ConfigError, StoreError

#: Longest pid read back from a lock file, in bytes.
MAX_PID_BYTES = 20

#: Primary result codes of SQLite that say something about the file and not about the statement.
_SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another program: close what holds it (a shell, a backup)",
    sqlite3.SQLITE_LOCKED: "is locked by another connection: close what holds it",
    sqlite3.SQLITE_READONLY: "cannot be written: give this user the right to write the file and its folder",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written, the disk reports an error: check the disk and its mount",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: give this user the right to write the file and its folder",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database: name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup, or move it away",
    sqlite3.SQLITE_PERM: "cannot be opened: give this user the right to write the file and its folder",
}
#: SQLite keeps the primary code in the low byte of an extended one.
_PRIMARY = 0xFF


def sentence(path: str, error: Exception) -> str:
    """One sentence for what SQLite refused: which file, why, and the way out."""
    if isinstance(error, StoreError):
        return str(error)
    known = _SENTENCES.get(_code(error), "does not answer as it should")
    return f"database {path} {known} ({error})"


def _code(error: Exception) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY


def blames_file(error: sqlite3.Error) -> bool:
    """Whether the file is to blame: a full disk, a lock, a damage; not a statement, a value or a broken constraint."""
    return _code(error) in _SENTENCES


def blames_store(error: sqlite3.Error) -> bool:
    """The same for the kit's own statements, which are right: only a value or a constraint can be the row's fault."""
    return blames_file(error) or isinstance(error, sqlite3.OperationalError)


class FileLock:
    """The lock `PATH.lock` that one process holds as long as it lives (RULES 3.3); it carries the holder's pid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(path.name + ".lock")
        self._held: int | None = None

    def take(self) -> None:
        """Take it or raise `ConfigError`: held by which process, or a folder that cannot be written."""
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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._held = descriptor

    def give_back(self) -> None:
        """Release it; the file stays, because deleting it would race with the next holder."""
        if self._held is not None:
            os.ftruncate(self._held, 0)
            os.close(self._held)
            self._held = None

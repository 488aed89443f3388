"""Errors of SQLite: whether the file or the statement is to blame, and one sentence that says what to do."""

import sqlite3

from hocket.errors import StoreError, TransactionLost

#: Primary result codes of SQLite that say something about the file and not about the statement.
_SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another program: close what holds it (a shell, a backup)",
    sqlite3.SQLITE_LOCKED: "is locked by another connection: close what holds it",
    sqlite3.SQLITE_READONLY: "cannot be written: give this user the right to write the file and its folder",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written, the disk reports an error: check disk, space and mount",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: give this user the right to write the file and its folder",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database: name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup, or move it away",
    sqlite3.SQLITE_PERM: "cannot be opened: give this user the right to write the file and its folder",
}
#: Those that may pass by themselves: a lock of another program, a full disk, an error of the disk.
_MAY_PASS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
#: SQLite keeps the primary code in the low byte of an extended one.
_PRIMARY = 0xFF


def sentence(path: str, error: Exception) -> str:
    """One sentence for what SQLite refused: which file, why, and the way out."""
    if isinstance(error, StoreError):
        return str(error)
    known = _SENTENCES.get(_code(error), "does not answer as it should")
    return f"database {path} {known} ({error})"


def may_pass(error: BaseException) -> bool:
    """Whether what is to blame may pass by itself."""
    return _code(error) in _MAY_PASS


def _code(error: BaseException) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY


def blames_file(error: sqlite3.Error) -> bool:
    """Whether the file is to blame: a full disk, a lock, a damage; not a statement, a value or a broken constraint."""
    return _code(error) in _SENTENCES


def blames_store(error: sqlite3.Error) -> bool:
    """The same for the kit's own statements, which are right: only a value or a constraint can be the row's fault."""
    return blames_file(error) or isinstance(error, sqlite3.OperationalError)


def store_error(path: str, error: sqlite3.Error) -> StoreError:
    """What is raised where the file is to blame: `TransactionLost` where that may pass."""
    return (TransactionLost if may_pass(error) else StoreError)(sentence(path, error))

"""Errors of PostgreSQL: which blame the server (a serialization failure, say), which the row or the handler.

The server: a lost connection, a rolled-back transaction (a serialization failure, a deadlock), a lack of resources. The
row or the handler: a value that PostgreSQL refuses, a violated constraint. Each gets one sentence that says what to do.
"""

from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from hocket.errors import ConfigError, HocketError, StoreError

#: Classes of SQLSTATE that concern a value or a row: PostgreSQL will refuse it again each time (RULES 3.2).
_OF_THE_ROW = {"22", "23", "54"}
#: SQLSTATE classes that blame the server when a handler's own statement fails: connection lost, transaction rolled
#: back, resources, operator.
_OF_THE_STORE = {"08", "40", "53", "57", "58"}
#: Temporary errors, so that a start waits: the same, a lock, and a standby that accepts no writes.
_PASSING = _OF_THE_STORE | {"25", "55"}
READ_ONLY = "25006"

_SENTENCES = {
    "08": "does not answer: see whether the server runs and can be reached",
    "25": "takes no writes (is it a standby?): name the primary in HOCKET_DATABASE_URL; it is tried again",
    "28": "refuses this user: check name and password in HOCKET_DATABASE_URL",
    "3D": "does not exist: create it, or name another one in HOCKET_DATABASE_URL",
    "40": "rolled a transaction back in favour of another; it is tried again",
    "42": "refuses a statement: give this user the right to create and use the tables",
    "53": "lacks resources (connections, memory or disk): give it more, or use fewer processes",
    "55": "is locked by another transaction",
    "57": "was stopped or is starting: nothing is lost, it is tried again",
}
#: `InternalClientError` is what asyncpg makes of a connection that the server ended just when a statement began.
_NO_ANSWER = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError, EOFError)


def shown(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    where = parts.hostname or ""
    if parts.port:
        where += f":{parts.port}"
    return urlunsplit(("postgresql", f"{parts.username}@{where}" if parts.username else where, parts.path, "", ""))


def code_of(error: BaseException) -> str:
    """The SQLSTATE of what PostgreSQL raised, "08000" where there was no answer, "" for anything else."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state
    if isinstance(error, ValueError):  # a value that asyncpg cannot encode: an InterfaceError by its class
        return ""
    return "08000" if isinstance(error, _NO_ANSWER) else ""


def sentence(database: str, error: BaseException) -> str:
    """One sentence for what was refused: which database, why, and the way out."""
    known = _SENTENCES.get(code_of(error)[:2], "does not answer as it should")
    text = str(error).partition("\nDETAIL:")[0]  # the detail quotes values of rows
    return f"database {database} {known} ({text or type(error).__name__})"


def kit_error(database: str, error: Exception) -> Exception:
    """The error to raise for a failed kit statement.

    The kit's SQL is correct, so only a bad value is the row's fault; everything else is a `StoreError`.
    """
    if isinstance(error, StoreError):
        return error
    code = code_of(error)
    if not code or code[:2] in _OF_THE_ROW:
        return _innermost(error) if isinstance(error, asyncpg.InterfaceError | asyncpg.PostgresError) else error
    return StoreError(sentence(database, error))


def opening_error(database: str, error: Exception) -> HocketError:
    """What the start raises: `StoreError` where the server is away and may come back, else `ConfigError`."""
    if isinstance(error, HocketError):
        return error
    if isinstance(error, SQLAlchemyError) and isinstance(below := getattr(error, "orig", None), Exception):
        error = below.__cause__ if isinstance(below.__cause__, Exception) else below
    kind = StoreError if code_of(error)[:2] in _PASSING else ConfigError
    return kind(sentence(database, error))


def _innermost(error: Exception) -> Exception:
    """What Python said of a value, below what asyncpg made of it."""
    while isinstance(below := error.__cause__, Exception):
        error = below
    return error


def handler_error(database: str, error: BaseException) -> StoreError | None:
    """What a handler's statement raises where the store is to blame; None: it keeps its own error."""
    if code_of(error)[:2] in _OF_THE_STORE:
        return StoreError(sentence(database, error))
    return None

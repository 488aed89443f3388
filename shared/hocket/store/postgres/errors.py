"""Errors of PostgreSQL: which may pass (a serialization failure, say), which are the row's or the handler's own.

What may pass: a lost connection, a transaction that was rolled back in favour of another, a lack of resources. The
row's or the handler's: a value that PostgreSQL refuses, a violated constraint, a statement timeout, a read-only
transaction, a connection used by two tasks. Each gets one sentence that says what to do.
"""

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from hocket.errors import ConfigError, HocketError, RowLocked, StoreError, TransactionLost
from hocket.store.errors import commit_refused

#: Classes of SQLSTATE that concern a value or a row: PostgreSQL will refuse it again each time (RULES 3.2).
_OF_THE_ROW = {"22", "23", "54"}
#: SQLSTATE classes of what may pass, whoever's statement it was: connection lost, transaction rolled back in favour of
#: another, resources, operator, disk.
_MAY_PASS = {"08", "40", "53", "57", "58"}
#: Of these the one that a statement brings on itself: it was cancelled, by a statement timeout for example.
_CANCELLED = "57014"
#: Temporary errors, so that a start waits: the same, a lock, and a standby that accepts no writes.
_PASSING = _MAY_PASS | {"25", "55"}
READ_ONLY = "25006"
#: A row is held by another transaction; or its run was born meanwhile, and the statement undid itself by a division.
_LOCKED = {"55P03", "22012"}
#: The class of a broken constraint.
_CONSTRAINT = "23"

#: What a handler reads that has left a task behind which still runs a statement.
BUSY = (
    "a statement still runs on this transaction's connection: await every task that uses it before the handler "
    "returns, and use it from one task at a time"
)

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
    _CANCELLED: "cancelled a statement that took too long",
}
#: `InternalClientError` is what asyncpg makes of a connection that the server ended just when a statement began.
_NO_ANSWER = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError, EOFError)


#: What a pooler says as it ends a connection, and what it means for the address (pgbouncer's words).
_POOLER = {
    "unsupported startup parameter": "is behind a pooler that refuses a parameter of HOCKET_DATABASE_URL: take it out",
    "no such database": "is not known to the pooler: add it there, or name another one in HOCKET_DATABASE_URL",
    "statement pooling": "is behind a pooler that pools by statement, which knows no transactions: pool by session, or "
    "by transaction with HOCKET_POSTGRES_POOLING=transaction",
}


def shown(url: str) -> str:
    """The address without its password, whatever it is."""
    scheme, mark, rest = url.partition("://")
    before, at, where = rest.partition("?")[0].rpartition("@")
    return f"{scheme}{mark}{before.partition(':')[0]}{at}{where}"


def code_of(error: BaseException) -> str:
    """The SQLSTATE of what PostgreSQL raised, "08000" where there was no answer, "" for anything else."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state
    if isinstance(error, ValueError):  # a value that asyncpg cannot encode: an InterfaceError by its class
        return ""
    if isinstance(error, asyncpg.InterfaceError):  # else a wrong use of the connection: arguments, two tasks at once
        return "08000" if "closed" in str(error) else ""
    return "08000" if isinstance(error, _NO_ANSWER) else ""


def _may_pass(code: str) -> bool:
    return code[:2] in _MAY_PASS and code != _CANCELLED


def sentence(database: str, error: BaseException) -> str:
    """One sentence for what was refused: which database, why, and the way out."""
    code = code_of(error)
    known = _refused_address(error) or _SENTENCES.get(code) or _SENTENCES.get(code[:2], "does not answer as it should")
    text = str(error).partition("\nDETAIL:")[0]  # the detail quotes values of rows
    if type(error) is ValueError:  # of Python's own, while the address was read
        text = "its host or port is not valid"
    return f"database {database} {known} ({text or type(error).__name__})"


def kit_error(database: str, error: Exception) -> Exception:
    """The error to raise for a failed kit statement.

    The kit's SQL is correct, so only a bad value is the row's fault; everything else is a `StoreError`.
    """
    if isinstance(error, StoreError):
        return error
    code = code_of(error)
    if _in_use(error):
        return HocketError(BUSY)
    if not code or (code[:2] in _OF_THE_ROW and code not in _LOCKED):
        return _innermost(error) if isinstance(error, asyncpg.InterfaceError | asyncpg.PostgresError) else error
    kind = TransactionLost if _may_pass(code) else RowLocked if code in _LOCKED else StoreError
    return kind(sentence(database, error))


def _in_use(error: BaseException) -> bool:
    """Whether another task runs a statement on the same connection."""
    return isinstance(error, asyncpg.InterfaceError) and "another operation is in progress" in str(error)


def opening_error(database: str, error: Exception) -> HocketError:
    """What the start raises: `StoreError` where the server is away and may come back, else `ConfigError`."""
    if isinstance(error, HocketError):
        return error
    if isinstance(error, SQLAlchemyError) and isinstance(below := getattr(error, "orig", None), Exception):
        error = below.__cause__ if isinstance(below.__cause__, Exception) else below
    passing = code_of(error)[:2] in _PASSING and not _refused_address(error)
    kind = StoreError if passing else ConfigError
    return kind(sentence(database, error))


def _refused_address(error: BaseException) -> str:
    """What is wrong with the address itself, "" where that is not known."""
    text = str(error)
    if code_of(error).startswith("08") and (
        known := next((said for part, said in _POOLER.items() if part in text), "")
    ):
        return known
    if isinstance(error, ValueError | asyncpg.ClientConfigurationError):
        return "cannot be reached by this address: see HOCKET_DATABASE_URL"
    if code_of(error) == "42704" and "configuration parameter" in text:
        return "does not know a parameter of this address: take it out of HOCKET_DATABASE_URL"
    return ""


def _innermost(error: Exception) -> Exception:
    """What Python said of a value, below what asyncpg made of it."""
    while isinstance(below := error.__cause__, Exception):
        error = below
    return error


def handler_error(database: str, error: BaseException) -> StoreError | None:
    """What a handler's statement raises where the reason may pass; None: it keeps its own error."""
    return TransactionLost(sentence(database, error)) if _may_pass(code_of(error)) else None


def commit_error(database: str, error: Exception) -> Exception:
    """What a failed COMMIT raises.

    Where the server refused it, all is rolled back and it is the transaction's own (a deferred constraint or trigger).
    `TransactionLost` where the reason may pass; without an answer the outcome is unknown (RULES 3.2).
    """
    code = code_of(error)
    if _may_pass(code) or not isinstance(error, asyncpg.PostgresError):
        return kit_error(database, error)
    return commit_refused(error, constraint=code[:2] == _CONSTRAINT)

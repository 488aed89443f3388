"""Checks the names of services and subscriptions, and the arguments of `Service`. Pure."""

import inspect
import re
from collections.abc import Collection
from typing import TypeGuard

from sqlalchemy import MetaData

from hocket.broker.topology import RESERVED
from hocket.declarations.team_settings import check_settings
from hocket.errors import DeclarationError

#: Longest name of a queue, `SERVICE.HANDLER`, in bytes: it is a routing key too, which AMQP bounds at 255.
MAX_QUEUE_BYTES = 200
#: Former names of one subscription.
MAX_FORMER = 10

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def is_name(name: object) -> TypeGuard[str]:
    """Whether this is a valid name of a service or a handler."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def refuse_bare(given: object, decorator: str, arguments: str) -> None:
    """Refuse a decorator that stands without its parentheses: it would declare nothing. Raises `DeclarationError`."""
    if inspect.isfunction(given):
        raise DeclarationError(
            f"{decorator}: {given.__qualname__} stands below it without arguments; write @{decorator}({arguments})"
        )


def check_handler(name: object, where: str, taken: Collection[str]) -> None:
    """Refuse an invalid handler name, or one that is in use; `taken` are queue names. Raises `DeclarationError`."""
    if not is_name(name):
        raise DeclarationError(
            f"{where}: a handler's name has lower case letters, digits, _ and -, and begins with a letter; "
            'use it as @service.handler, above an async function, or give name="charge"'
        )
    if len(where.encode()) > MAX_QUEUE_BYTES:
        raise DeclarationError(
            f"{where}: a queue's name has at most {MAX_QUEUE_BYTES} bytes; give a shorter one by name="
        )
    if where in taken:
        raise DeclarationError(f'{where}: another handler has this name; give this one another by name="…"')


def former_of(formerly: object, name: str, where: str) -> tuple[str, ...]:
    """The names that `formerly=` gives, the oldest first. Raises `DeclarationError`."""
    former = (formerly,) if isinstance(formerly, str) else formerly
    if not isinstance(former, tuple) or not former or len(former) > MAX_FORMER or not all(map(is_name, former)):
        raise DeclarationError(
            f'{where}: formerly={formerly!r} is not a handler name; write formerly="bill", or after several '
            f"renamings a tuple of at most {MAX_FORMER}, the oldest first"
        )
    if name in former or len(set(former)) < len(former):
        raise DeclarationError(
            f"{where}: formerly={formerly!r} contains the present name, or one name twice; list each former name once"
        )
    return former


def check_service(name: object, owner: object, settings: object, uses: object, tables: object) -> None:
    """Refuse invalid arguments of a `Service`. Raises `DeclarationError`."""
    where = f"Service({name!r})"
    if not is_name(name) or name in RESERVED:
        raise DeclarationError(
            f"{where}: a service's name has lower case letters, digits, _ and -, begins with a letter, and is none of "
            f"{', '.join(sorted(RESERVED))}"
        )
    if not isinstance(owner, str) or not owner:
        raise DeclarationError(f'{where}: a service has an owner; write owner="team-money"')
    if inspect.isasyncgenfunction(uses):
        raise DeclarationError(
            f"{where}: uses={uses.__name__} is not a context manager; put @asynccontextmanager above it"
        )
    if uses is not None and not callable(uses):
        raise DeclarationError(f"{where}: uses= takes a function that makes an async context manager")
    if settings is not None:
        check_settings(where, settings)
    if tables is not None and not isinstance(tables, MetaData):
        raise DeclarationError(f"{where}: tables= takes a MetaData, not {tables!r}")

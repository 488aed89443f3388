"""What services and their subscriptions may be called. Pure."""

import inspect
import re
from collections.abc import Collection
from typing import TypeGuard

from pydantic import BaseModel
from sqlalchemy import MetaData

from hocket.broker.topology import RESERVED
from hocket.errors import DeclarationError

#: Longest name of a queue, `SERVICE.HANDLER`, in bytes: it is a routing key too, which AMQP bounds at 255.
MAX_QUEUE_BYTES = 200
#: Former names that one subscription may carry.
MAX_FORMER = 10

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def is_name(name: object) -> TypeGuard[str]:
    """Whether a service or a handler may be called this."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_handler(name: object, where: str, taken: Collection[str]) -> None:
    """Refuse what cannot be a handler's name, or is one already; `taken` are queue names."""
    if not is_name(name):
        raise DeclarationError(
            f"{where}: a handler's name is lower case letters, digits, _ and -, beginning with a letter; "
            'use it as @service.handler, above an async function, or give name="charge"'
        )
    if len(where.encode()) > MAX_QUEUE_BYTES:
        raise DeclarationError(f"{where}: a queue's name has at most {MAX_QUEUE_BYTES} bytes; shorten it by name=")
    if where in taken:
        raise DeclarationError(f'{where}: there is a handler of this name already; give it another by name="…"')


def former_of(formerly: object, name: str, where: str) -> tuple[str, ...]:
    """The names that `formerly=` gives, the oldest first."""
    former = (formerly,) if isinstance(formerly, str) else formerly
    if not isinstance(former, tuple) or not former or len(former) > MAX_FORMER or not all(map(is_name, former)):
        raise DeclarationError(
            f'{where}: formerly={formerly!r} is no name of a handler; write formerly="bill", or after several '
            f"renamings a tuple of at most {MAX_FORMER}, the oldest first"
        )
    if name in former or len(set(former)) < len(former):
        raise DeclarationError(f"{where}: formerly={formerly!r} names what it is called now, or one name twice")
    return former


def check_service(name: object, owner: object, settings: object, uses: object, tables: object) -> None:
    """Refuse a service that cannot be meant."""
    where = f"Service({name!r})"
    if not is_name(name) or name in RESERVED:
        raise DeclarationError(
            f"{where}: a service's name is lower case letters, digits, _ and -, beginning with a letter, and none of "
            f"{', '.join(sorted(RESERVED))}"
        )
    if not isinstance(owner, str) or not owner:
        raise DeclarationError(f'{where}: somebody owns a service; write owner="team-money"')
    if inspect.isasyncgenfunction(uses):
        raise DeclarationError(
            f"{where}: uses={uses.__name__} is no context manager; put @asynccontextmanager above it"
        )
    if uses is not None and not callable(uses):
        raise DeclarationError(f"{where}: uses= takes a function that makes an async context manager")
    if settings is not None and not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise DeclarationError(f"{where}: settings= takes a pydantic model's class, not {settings!r}")
    if settings is not None and uses is None:
        raise DeclarationError(f"{where}: settings= are handed to uses=; give both")
    if tables is not None and not isinstance(tables, MetaData):
        raise DeclarationError(f"{where}: tables= takes a MetaData, not {tables!r}")

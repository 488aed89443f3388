"""Maps the client's many errors to two: the connection was lost, or the broker refused."""

import asyncio
import struct
from collections.abc import Awaitable
from typing import TypeVar

from aiormq.exceptions import AMQPConnectionError, AMQPError, ChannelClosed

T = TypeVar("T")

#: How the broker's words begin when something does not exist.
NOT_FOUND = "NOT_FOUND"
#: How the words of a node end that has just started, or has lost its cluster; this usually passes.
NOT_YET = "is down or inaccessible"


class Broken(Exception):
    """The connection or the channel was lost during a call."""


class Refused(Exception):
    """The broker closed the channel because of a request; the text is the broker's."""


def refusal(error: BaseException | None) -> str | None:
    """The broker's words if it closed a channel because of a request; None for anything else."""
    if not isinstance(error, ChannelClosed) or not error.args or error.args[-1] is None:
        return None
    return str(error.args[-1])


def missing(said: str | BaseException | None) -> bool:
    """Whether the broker's words say that an exchange or queue does not exist."""
    return str(said or "").startswith(NOT_FOUND)


def not_yet(said: str | BaseException) -> bool:
    """Whether the broker's words say that a queue exists and is not up yet."""
    return missing(said) and str(said).endswith(NOT_YET)


def words(error: BaseException) -> str:
    """The text of an error, or its type where the text is empty."""
    return str(error) or type(error).__name__


async def client_call(call: Awaitable[T], seconds: float | None = None) -> T:
    """Await a call of the client; raises `Refused` or `Broken`, and `CancelledError` only if this task was cancelled.

    The client ends calls on a lost connection with a CancelledError that nobody requested.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Broken("the connection was lost") from None
    except TimeoutError as late:
        raise Broken(f"no answer within {seconds} s") from late
    except ChannelClosed as closed:
        said = refusal(closed)
        if said is None:
            raise Broken("the channel was closed") from closed
        raise Refused(said) from closed
    except (AMQPConnectionError, AMQPError, OSError, RuntimeError, ValueError, struct.error) as failed:
        raise Broken(words(failed)) from failed

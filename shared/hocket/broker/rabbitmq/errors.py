"""How the client's many errors become two: the link broke, or the broker refused."""

import asyncio
import struct
from collections.abc import Awaitable
from typing import TypeVar

from aiormq.exceptions import AMQPConnectionError, AMQPError, ChannelClosed

T = TypeVar("T")

#: How the broker begins to say that something does not stand there.
NOT_FOUND = "NOT_FOUND"


class Broken(Exception):
    """The connection or the channel was lost while we waited."""


class Refused(Exception):
    """The broker closed the channel because of what was asked; the text is the broker's."""


def refusal(error: BaseException | None) -> str | None:
    """The broker's words, if it closed a channel because of what was asked; None for anything else."""
    if not isinstance(error, ChannelClosed) or not error.args or error.args[-1] is None:
        return None
    return str(error.args[-1])


def missing(said: str | BaseException | None) -> bool:
    """Whether the broker's words say that an exchange or queue does not stand there."""
    return str(said or "").startswith(NOT_FOUND)


def words(error: BaseException) -> str:
    """An error in words, also where its text is empty."""
    return str(error) or type(error).__name__


async def asked(question: Awaitable[T], seconds: float | None = None) -> T:
    """Await the client; raises `Refused` and `Broken`, and `CancelledError` only when we were cancelled ourselves.

    The client ends what waits on a lost connection by a CancelledError that nobody asked for.
    """
    try:
        async with asyncio.timeout(seconds):
            return await question
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

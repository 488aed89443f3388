"""A command as its team declares it: an HTTP handler that is run once for each `Idempotency-Key` (RULES 13)."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hocket.envelope.keys import digest
from hocket.errors import DeclarationError

#: Parameters of a command's function: the request and the transaction.
PARAMETERS = 2


@dataclass(frozen=True, slots=True)
class Command:
    """One declared command. `caller` names who asks, so that keys of two callers never meet."""

    name: str  # `SERVICE.FUNCTION`, for what is said of it
    fn: Callable[[web.Request, Any], Coroutine[Any, Any, web.StreamResponse]]
    caller: Callable[[web.Request], str]
    required: bool


def authorised(request: web.Request) -> str:
    """Who asks, where the team does not say it: a hash of `Authorization`; all who send none are one caller."""
    return digest("authorization", ascii(request.headers.get("Authorization", ""))).hex()


def command_of(
    service: str, fn: Callable[..., Any], caller: Callable[[web.Request], str] | None, required: bool
) -> Command:
    """A declared command. `DeclarationError` where the function is not `async def name(request, tx)`."""
    name = f"{service}.{getattr(fn, '__name__', 'command')}"
    if not inspect.iscoroutinefunction(fn):
        raise DeclarationError(f"{name}: a command is an async def name(request, tx) -> web.Response")
    takes = [
        each.name
        for each in inspect.signature(fn).parameters.values()
        if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}
    ]
    if len(takes) != PARAMETERS:
        raise DeclarationError(
            f"{name}: a command takes the request and the transaction, async def name(request, tx), "
            f"and this one takes ({', '.join(takes)})"
        )
    if inspect.iscoroutinefunction(caller) or not (caller is None or callable(caller)):
        raise DeclarationError(f"{name}: caller= is a plain function of the request that returns a text")
    return Command(name, fn, caller or authorised, required)


def named_as(fn: Callable[..., Any], answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    """`answer` under the name, module and docstring of the team's function, and not its parameters."""
    for each in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(answer, each, getattr(fn, each))
    return answer

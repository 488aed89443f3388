"""Makes what a service's `uses=` declares, with the team's own settings; a failure is one sentence."""

import asyncio
import traceback
from contextlib import AsyncExitStack
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from hocket.declarations import team_settings
from hocket.delivery.ending.error_text import text_of
from hocket.errors import ConfigError, HocketError
from hocket.masking.mask import ALWAYS, Mask, keep_secret
from hocket.masking.values import secrets_of
from hocket.runtime import Runtime
from hocket.service import Service


async def made(service: Service[Any], stack: AsyncExitStack) -> Any:
    """What handlers find in `tx.use`; `stack` closes it.

    `ConfigError` says which setting is missing or invalid, or what `uses=` raised and where, without a value of the
    settings in it.
    """
    if service.uses is None:
        return None
    settings = team_settings.read(service.name, service.settings) if service.settings is not None else None
    if settings is not None:
        keep_secret(secrets_of(settings))
    try:
        return await stack.enter_async_context(service.uses(*([] if settings is None else [settings])))
    except HocketError:
        raise
    except Exception as error:  # noqa: BLE001 -- a team's code may raise anything
        sentence = f"service {service.name}: {_failure(error, settings)}"
    raise ConfigError(sentence)  # outside the handler: the cause may quote a secret


async def close(stack: AsyncExitStack, runtime: Runtime) -> None:
    """Close what was made, within its bound; a failure is said.

    In a task of its own: a team's code may swallow the cancellation, and is then left behind.
    """
    closing = asyncio.get_running_loop().create_task(stack.aclose(), name=f"{runtime.service}: close uses")
    done, _ = await asyncio.wait([closing], timeout=runtime.config.uses_close_seconds)
    error: BaseException | None = TimeoutError()
    if done:
        error = closing.exception() if not closing.cancelled() else asyncio.CancelledError()
    else:
        closing.cancel()
        runtime.tasks.left[closing] = closing.get_name()
    if error is not None:
        runtime.trouble("the resource made by uses did not close", error=text_of(error, ALWAYS) or type(error).__name__)


def _failure(error: Exception, settings: BaseModel | None) -> str:
    if isinstance(error, ValidationError | SettingsError):
        why = team_settings.refusal(error)
    else:
        why = text_of(error, ALWAYS if settings is None else Mask(secrets_of(settings)))
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({frame.filename}:{frame.lineno})" for frame in last)
    return f"what uses= makes could not start: {type(error).__name__}: {why}{where}"

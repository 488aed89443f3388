"""Services until a signal asks them to stop: what `hocket run` does."""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

from hocket.assembly import process_memory
from hocket.assembly.process import Assembly
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.service import Service
from hocket.telemetry import logs

#: Exit status of a process whose service could not go on.
FAILED_STATUS = 1
Target = tuple[Service[Any], int]


async def run(targets: Sequence[Target], config: Config) -> None:
    """Run services until SIGTERM or SIGINT; a second signal ends at once and loses nothing that was committed.

    `ConfigError` and `DeclarationError` say what forbids the start, also what the broker forbids later.
    """
    logs.configure(config.log_level)
    process_memory.steady()
    assembly = Assembly(config)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    me, begun = asyncio.current_task(), asyncio.Event()
    assert me is not None

    def stop() -> None:
        if asked.is_set():
            os._exit(FAILED_STATUS)
        asked.set()
        if not begun.is_set():
            me.cancel()  # a database that does not answer holds nobody who wants to stop

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop)
    try:
        for service, port in targets:
            await assembly.start(service, port)
        process_memory.settle()
        begun.set()
        failed = await _until_asked(assembly, asked)
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
        me.uncancel()
        failed = ""
    finally:
        await assembly.close()
    if failed:
        raise ConfigError(failed)


async def _until_asked(assembly: Assembly, asked: asyncio.Event) -> str:
    """Wait for a signal or for a service that cannot go on; then the sentence that says why."""
    supervisors = [part.worker.runtime.tasks for part in assembly.parts.values()]
    waits = [asyncio.ensure_future(asked.wait()), *(asyncio.ensure_future(each.died.wait()) for each in supervisors)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return next((each.failed for each in supervisors if each.failed), "")

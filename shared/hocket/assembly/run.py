"""Runs services until a signal asks them to stop: what `hocket run` does."""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

import structlog

from hocket.assembly import process_memory
from hocket.assembly.process import Assembly
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.service import Service
from hocket.telemetry import logs

#: Exit status of a process that a second signal ends at once.
SECOND_SIGNAL_STATUS = 1
Target = tuple[Service[Any], int]


async def run(targets: Sequence[Target], config: Config) -> None:
    """Run services until SIGTERM or SIGINT; a second signal ends the process at once, without loss of committed data.

    `ConfigError` and `DeclarationError` say what is wrong, also where the broker refuses something later.
    """
    terminal = logs.configure(config.log_level, format=config.log_format)
    process_memory.fix_mmap_threshold()
    log, names = structlog.get_logger("hocket"), [service.name for service, _ in targets]
    assembly = Assembly(config, traces=terminal)
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    this_task, started = asyncio.current_task(), asyncio.Event()
    assert this_task is not None

    def stop() -> None:
        if stop_requested.is_set():
            os._exit(SECOND_SIGNAL_STATUS)
        stop_requested.set()
        log.info("stopping, as a signal asks; a second one ends the process at once", services=names)
        if not started.is_set():
            this_task.cancel()  # also while a database does not answer

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop)
    try:
        for service, port in targets:
            await assembly.start(service, port)
        process_memory.freeze_objects()
        started.set()
        failed = await _until_stop(assembly, stop_requested)
    except asyncio.CancelledError:
        if not stop_requested.is_set():
            raise
        this_task.uncancel()
        failed = ""
    finally:
        await assembly.close()
    log.info("stopped", services=names)
    if failed:
        raise ConfigError(failed)


async def _until_stop(assembly: Assembly, stop_requested: asyncio.Event) -> str:
    """Wait for a signal or for a service that cannot continue; returns the sentence that says why, "" for a signal."""
    supervisors = [part.worker.runtime.tasks for part in assembly.parts.values()]
    events = [stop_requested, *(each.died for each in supervisors)]
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return next((each.failed for each in supervisors if each.failed), "")

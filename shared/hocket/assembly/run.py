"""Runs services until a signal asks them to stop: what `hocket run` does."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import structlog

from hocket.assembly import process_memory
from hocket.assembly.exit_bound import STATUS, ExitBound
from hocket.assembly.process import Assembly
from hocket.config import Config
from hocket.errors import ConfigError
from hocket.service import Service
from hocket.telemetry import logs

Target = tuple[Service[Any], int]


async def run(targets: Sequence[Target], config: Config) -> None:
    """Run services until SIGTERM or SIGINT; a second signal ends the process at once, without loss of committed data.

    Whatever a handler does, the process ends within `HOCKET_EXIT_SECONDS` of the signal. `ConfigError` and
    `DeclarationError` say what is wrong, also where the broker refuses something later.
    """
    terminal = logs.configure(config.log_level, format=config.log_format)
    process_memory.fix_mmap_threshold()
    log, names = structlog.get_logger("hocket"), [service.name for service, _ in targets]
    assembly = Assembly(config, traces=terminal or config.log_level == "DEBUG")
    bound = ExitBound(config.exit_seconds, lambda: _still_running(assembly))
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    this_task, started = asyncio.current_task(), asyncio.Event()
    assert this_task is not None

    def stop() -> None:
        stop_requested.set()
        log.info("stopping, as a signal asks; a second one ends the process at once", services=names)
        if not started.is_set():
            this_task.cancel()  # also while a database does not answer

    def asked(_number: int, _frame: FrameType | None) -> None:
        """Called between two instructions of the main thread, also while a handler blocks the event loop."""
        if bound.begun:
            os._exit(STATUS)
        bound.begin()
        loop.call_soon_threadsafe(stop)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, asked)
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
        bound.begin()
        await assembly.close()
        bound.stopped()
    log.info("stopped", services=names)
    if failed:
        raise ConfigError(failed)


def _still_running(assembly: Assembly) -> Iterator[str]:
    """What the services know to be running: handlers that were left behind, and services that have not stopped."""
    for name, tasks in assembly.supervisors.items():
        yield from (f"handler {each}" for each in list(tasks.left.values()))
        if name in assembly.parts:
            yield f"service {name}"


async def _until_stop(assembly: Assembly, stop_requested: asyncio.Event) -> str:
    """Wait for a signal or for a service that cannot continue; returns the sentence that says why, "" for a signal."""
    supervisors = list(assembly.supervisors.values())
    events = [stop_requested, *(each.died for each in supervisors)]
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return next((each.failed for each in supervisors if each.failed), "")

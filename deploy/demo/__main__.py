"""`python -m deploy.demo`: bring a broker, start the shop, let real life happen to it, and judge the books.

Environment: `STAY=0` ends by itself with the status of the verdict, `DEMO_PORT_OFFSET` shifts all ports,
`HOCKET_BROKER_URL` names a broker; for tests `DEMO_ORDERS` takes a shorter plan, and `DEMO_SABOTAGE` takes one promise
away. Ctrl-C in any phase leaves nothing behind.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from deploy.demo.broker import Broker, broker
from deploy.demo.place import MAX_OFFSET, Place, StepFailed
from deploy.demo.plan import Plan, plan_of
from deploy.demo.progress import Told, plain
from deploy.demo.sabotage import SABOTAGES
from deploy.demo.story import failures, staged, stay, tell

ROOT = Path(__file__).resolve().parents[2]
#: Exit statuses: a step failed; it was interrupted before the verdict.
FAILED, INTERRUPTED = 1, 130


def offset_of(word: str) -> int:
    """What `DEMO_PORT_OFFSET` says. `StepFailed` where it is no number of ports."""
    if not (word or "0").isdecimal() or int(word or "0") > MAX_OFFSET:
        raise StepFailed(f"DEMO_PORT_OFFSET={word}: say a number from 0 to {MAX_OFFSET}.")
    return int(word or "0")


def sabotage_of(word: str) -> str:
    """What `DEMO_SABOTAGE` says. `StepFailed` where there is none of that name."""
    if word and word not in SABOTAGES:
        raise StepFailed(f"DEMO_SABOTAGE={word}: say one of {', '.join(SABOTAGES)}.")
    return word


async def perform(place: Place, found: Broker, plan: Plan, sabotage: str, told: Told) -> int:
    """The demo on a broker that stands, until its end or an interruption; the exit status."""
    task = asyncio.current_task()
    status = INTERRUPTED
    asked = False

    def interrupt() -> None:
        nonlocal asked
        if not asked and task is not None:
            asked = True
            plain("Ending; this takes a few seconds …")
            task.cancel()

    for word in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(word, interrupt)
    try:
        async with staged(place, found, sabotage) as (stage, world):
            status = await tell(place, found, plan, stage, world, told)
            if os.environ.get("STAY") != "0":
                await stay(place, found, stage)
    except asyncio.CancelledError:
        if not asked:
            raise
    return status


def main() -> int:
    """Run one demo; the exit status."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for word in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background job inherits that it is ignored
        signal.signal(word, interrupt)
    told = Told()
    try:
        place = Place(ROOT, offset_of(os.environ.get("DEMO_PORT_OFFSET", "")))
        plan = plan_of(os.environ.get("DEMO_ORDERS", ""))
        sabotage = sabotage_of(os.environ.get("DEMO_SABOTAGE", ""))
        place.claim()
        with broker(place, told) as found:
            try:
                return asyncio.run(perform(place, found, plan, sabotage, told))
            finally:
                for word in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(word, signal.SIG_IGN)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (StepFailed, BaseExceptionGroup) as failed:
        found_out = list(failures(failed))
        if not all(isinstance(each, StepFailed) for each in found_out):
            raise
        plain(f"FAILED: {found_out[0]}")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())

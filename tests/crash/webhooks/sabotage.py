"""For tests of the run alone: take one promise of webhooks away, to see that the verdict turns red and says which."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hocket.webhooks import Push
from hocket.webhooks.declared import Secret, Webhook
from hocket.worker.webhooks import door, taking
from hocket.worker.webhooks.checks.authentic import Verdict
from hocket.worker.webhooks.ends import End
from hocket.worker.webhooks.keys import Keys, Taken, keys_of

#: Seconds between an answer that comes too early and its commit.
LATE_SECONDS = 0.25

_tasks: set["asyncio.Task[None]"] = set()


def _early() -> None:
    """What is answered is committed a moment later."""
    take = taking.Taking.take

    async def early(self: taking.Taking, hook: Webhook, push: Push, fault: str, secret: int) -> Taken:
        async def late() -> None:
            await asyncio.sleep(LATE_SECONDS)
            await take(self, hook, push, fault, secret)

        task = asyncio.get_running_loop().create_task(late())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        return Taken(self.runtime.ids.uuid7(), End.SAID)

    _put(taking.Taking, "take", early)


def _twice() -> None:
    """No push is known again."""

    def forgetful(service: str, hook: Webhook, push: Push) -> Keys:
        return replace(keys_of(service, hook, push), id=os.urandom(16), body=None)

    _put(taking, "keys_of", forgetful)


def _unsigned() -> None:
    """Everything is authentic."""

    def trusting(_hook: Webhook, _push: Push, _secrets: Sequence[Secret]) -> Verdict:
        return Verdict(None, 1)

    _put(door, "judge", trusting)


def _put(owner: Any, name: str, value: object) -> None:
    setattr(owner, name, value)


SABOTAGES: Mapping[str, Callable[[], None]] = {"early": _early, "twice": _twice, "unsigned": _unsigned}


def spoil(which: str) -> None:
    """Take it away from this process, or several with commas between them; "": nothing."""
    for each in filter(None, which.split(",")):
        SABOTAGES[each]()

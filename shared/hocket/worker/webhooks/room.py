"""The webhooks of one running service: makes the parts and starts them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from hocket.declarations import team_settings
from hocket.errors import ConfigError
from hocket.masking.mask import keep_secret
from hocket.outbox.backlog import Backlog
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.runtime import Runtime
from hocket.service import Service
from hocket.webhooks.declared import Secret, Webhook
from hocket.webhooks.signature import Push, headers_of
from hocket.worker.http.operator import Command
from hocket.worker.reporter import Reporter
from hocket.worker.store_opening import StoreOpening
from hocket.worker.webhooks.checks.skew import SkewWatch
from hocket.worker.webhooks.command import WebhooksCommand
from hocket.worker.webhooks.counts import TELL_SECONDS, Counts
from hocket.worker.webhooks.custody import Custody
from hocket.worker.webhooks.door import Door
from hocket.worker.webhooks.drift import WebhookDrift
from hocket.worker.webhooks.ends import Cause, End
from hocket.worker.webhooks.interpret import delivery_of
from hocket.worker.webhooks.retrying import Retrying
from hocket.worker.webhooks.taking import Taking


class Parts(Protocol):
    """What the webhooks need of the worker."""

    runtime: Runtime
    service: Service[Any]
    backlog: Backlog
    outside_transactions: OutsideTransactions
    opening: StoreOpening
    reporter: Reporter
    commands: dict[str, Command]
    readiness: list[Callable[[], list[str]]]


def secrets_of(hooks: Mapping[str, Webhook]) -> dict[str, list[Secret]]:
    """The active secrets of each webhook, from the settings of the team. `ConfigError` names all that is wrong."""
    found: dict[str, list[Secret]] = {}
    faults: list[str] = []
    for name, hook in hooks.items():
        try:
            found[name] = hook.secrets(team_settings.read(hook.service, hook.settings))
        except (ConfigError, ValueError) as error:
            faults.append(str(error) if isinstance(error, ConfigError) else f"service {hook.service}: {error}")
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    return found


class Webhooks:
    """The webhooks of one running service; where it declares none there is nothing to do."""

    def __init__(self, parts: Parts) -> None:
        self.hooks = parts.service.webhooks
        self._runtime = runtime = parts.runtime
        self._reporter = parts.reporter
        self._secrets: Mapping[str, Sequence[Secret]] = {}
        self._told_at = float("-inf")
        self.counts, self.skew = Counts(), SkewWatch(runtime.clock.monotonic)
        outside = parts.outside_transactions
        self.custody = Custody(runtime, outside.committed)
        drift = WebhookDrift(runtime.service, self.hooks)
        parts.reporter.drift += drift.watches.values()
        self.taking = Taking(runtime, outside, self.custody, drift.check)
        self.retrying = Retrying(runtime, self.hooks, self.secrets, self.taking, self.custody, self._tell)
        self.door = Door(
            runtime, self.hooks, self.secrets, self.taking, self.custody, self.counts, self.skew,
            lambda: parts.backlog.full_with(self.retrying.kept), parts.opening.check,
        )  # fmt: skip
        parts.commands["webhooks"] = WebhooksCommand(runtime.store, runtime.service, self.retrying.look)
        parts.readiness.append(self.skew.reasons)

    def secrets(self, name: str) -> Sequence[Secret]:
        """The active secrets of one webhook."""
        if not self._secrets:  # without a port nothing was mounted
            self._secrets = secrets_of(self.hooks)
        return self._secrets[name]

    def mount(self, app: web.Application) -> None:
        """Add the route. `ConfigError` where a secret is missing: before the first push comes."""
        if not self.hooks:
            return
        self._secrets = secrets_of(self.hooks)
        keep_secret(each.text for several in self._secrets.values() for each in several)
        self.door.mount(app)

    async def push(self, name: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Take a body as if it was signed, for tests: how it ended, and the cause of one that was kept."""
        hook = self.hooks[name]
        push = Push(name, "", self._runtime.clock.now(), body, headers_of(headers))
        id, fault = delivery_of(hook, push)
        push = Push(name, id, push.received, body, push.headers)
        taken = await self.taking.take(hook, push, fault, 1)
        if taken.end is not End.KEPT:
            return taken.end.value
        read = self.taking.read(hook, push, fault)
        return f"{taken.end}: {read.cause}: {read.error}" if read.cause else f"{taken.end}: {Cause.CONFLICT}"

    def start(self) -> None:
        """Look at what is kept, from now on."""
        if self.hooks:
            self._runtime.tasks.spawn("webhooks", self.retrying.run())

    async def _tell(self) -> None:
        """Set the gauges, and tell the counts each minute."""
        waiting = self.retrying.waiting
        self._runtime.signals.webhooks_kept(
            self._runtime.service, {name: waiting[name].kept if name in waiting else 0 for name in self.hooks}
        )
        now = self._runtime.clock.monotonic()
        if now - self._told_at >= TELL_SECONDS and (fact := self.counts.fact(waiting)) is not None:
            self._reporter.tell(fact)
            self._told_at = now

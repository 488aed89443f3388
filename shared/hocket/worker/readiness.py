"""Why a service is not ready, as its parts say it: one sentence a reason."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from hocket.delivery.commit import Committer
from hocket.delivery.handle import Handling
from hocket.delivery.runner import SubscriptionRunner
from hocket.outbox.relay import Relay
from hocket.runtime import Runtime
from hocket.streams.log_check import LogCheck
from hocket.streams.reader import StreamReader
from hocket.worker.copies import CopyWatch


class Parts(Protocol):
    """The parts of a running service that may keep it from being ready."""

    runtime: Runtime
    relay: Relay
    committer: Committer
    handling: Handling
    log_check: LogCheck
    copies: CopyWatch

    @property
    def readers(self) -> Sequence[StreamReader]:
        """Its readers."""
        ...

    @property
    def runners(self) -> Mapping[str, SubscriptionRunner]:
        """Its subscriptions by queue."""
        ...

    def full(self) -> bool:
        """Whether the outbox is at its bound."""
        ...


def reasons_of(parts: Parts) -> list[str]:
    """Why these parts are not ready, the gravest first."""
    reasons = [each.reason for each in parts.readers if each.reason]
    if parts.committer.failing:
        reasons.append(parts.committer.failing)
    if (silent := parts.relay.silent_for()) > parts.runtime.config.unconfirmed_seconds:
        reasons.append(f"the broker has not confirmed anything for {silent:.0f} s")
    paused = [each for each in parts.handling.pauses.values() if each.circuit.state != "closed"]
    reasons += [each.sentence() for each in paused]
    reasons += [each for each in (parts.log_check.reason, parts.copies.reason) if each]
    reasons += [stuck for each in parts.runners.values() if (stuck := each.stuck())]
    if parts.full():
        reasons.append("as many events wait for the broker as the bound allows")
    return reasons


def told_late(runtime: Runtime, function: str) -> None:
    """Tell of a blocking call that its attempt has left behind."""
    runtime.trouble("a blocking call goes on after its attempt has ended", function=function)


def in_progress(parts: Parts) -> dict[str, int]:
    """How many deliveries each subscription has in hand."""
    return {queue: runner.in_progress for queue, runner in parts.runners.items()}

"""Switches `ordered` on: the queue that a subscription had before is unbound and emptied first (RULES 9.10)."""

from dataclasses import dataclass

from hocket.broker.topology import HEARD, Binding, history_queue, routing_key
from hocket.declarations.subscription import Subscription
from hocket.delivery.former_queue import FormerQueues
from hocket.errors import TransportError
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime

#: Seconds without a delivery, and with nothing left in it, after which a queue of before the switch counts as empty.
SILENT_SECONDS = 3.0
#: Waits between tries while the broker is away.
BACKOFF = Backoff(first=0.5, longest=5.0)


@dataclass(slots=True)
class Switch:
    """Empties what one subscription had before; what comes by it is handled as it was then, in no order."""

    runtime: Runtime
    subscription: Subscription
    former: FormerQueues
    works: bool = False

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of before; where it heard history in no order also that of what is tried again of it."""
        subscription = self.subscription
        plain = f"{subscription.service}.{subscription.name}"
        return (*subscription.former_queues, *((history_queue(plain),) if subscription.since is not None else ()))

    async def needed(self) -> bool:
        """Unbind the queues of before; whether one of them still has messages, or somebody who takes them."""
        return bool(await until_done(self._found, BACKOFF, self.runtime.chance, on=TransportError))

    async def _found(self) -> list[str]:
        transport = self.runtime.transport
        await transport.until_ready()
        found: list[str] = []
        for queue in self.queues:
            if (depth := await transport.depth(queue)) is None:
                continue
            await transport.unbind([Binding(HEARD, queue, routing_key(*name)) for name in self.subscription.bound])
            if depth.messages or depth.consumers:
                found.append(queue)
        return found

    async def empty(self) -> None:
        """Take all that is in them."""
        self.works = True
        for queue in await until_done(self._found, BACKOFF, self.runtime.chance, on=TransportError):
            await self.former.empty(queue, SILENT_SECONDS)
        self.works = False

"""Switches `ordered` off: lines are emptied into the outbox, and the ordered queue into the intake (RULES 9.10)."""

from collections.abc import Callable, Mapping, Sequence

from hocket.broker.topology import HEARD, Binding, Topology, routing_key
from hocket.declarations.ordering.option import SUFFIX
from hocket.delivery.ordering.switch import BACKOFF, SILENT_SECONDS
from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import StoreError, TransportError
from hocket.resilience.retrying import until_done
from hocket.runtime import Runtime
from hocket.store.group_commit import STORE_BACKOFF
from hocket.store.ordering.tokens import free_next, ordered_before, take, token_of
from hocket.store.records import Ending, OutboxRow


async def leave_order(
    runtime: Runtime, runners: Mapping[str, SubscriptionRunner], add: Callable[[Sequence[OutboxRow]], None]
) -> None:
    """For each subscription of the service that was ordered before and is not now; `add` tells the relay of rows."""
    before = await until_done(lambda: ordered_before(runtime.store), STORE_BACKOFF, runtime.chance, on=StoreError)
    for runner in runners.values():
        subscription = runner.subscription
        if subscription.identity not in before or subscription.ordered:
            continue
        await until_done(lambda one=runner: _free(runtime, one, add), STORE_BACKOFF, runtime.chance, on=StoreError)  # type: ignore[misc]
        await until_done(lambda one=runner: _empty(runtime, one), BACKOFF, runtime.chance, on=TransportError)  # type: ignore[misc]


async def _free(runtime: Runtime, runner: SubscriptionRunner, add: Callable[[Sequence[OutboxRow]], None]) -> None:
    """Send all that is parked to the queue that is consumed now; whoever still works in order is fenced."""
    subscription = runner.subscription
    seen, now = await token_of(runtime.store, subscription.identity), runtime.clock.now().timestamp()
    await take(runtime.store, subscription.identity, runtime.instance.boot, now, seen)
    while True:
        async with runtime.store.transaction() as tx:
            rows = await free_next(await tx.db(), subscription.identity)
            if not rows:
                return
            here = tuple(row._replace(message=row.message._replace(routing_key=subscription.queue)) for row in rows)
            [written] = await tx.write([Ending(outbox=here)])
        add(written.outbox)


async def _empty(runtime: Runtime, runner: SubscriptionRunner) -> None:
    """Take what is in the ordered queue; what is on its way to it arrives at the plain one too."""
    transport, subscription = runtime.transport, runner.subscription
    queue = f"{subscription.queue}{SUFFIX}"
    await transport.until_ready()
    if await transport.depth(queue) is None:
        return
    await transport.declare(Topology(bindings=(Binding(subscription.service, subscription.queue, queue),)))
    await transport.unbind([Binding(HEARD, queue, routing_key(*name)) for name in subscription.bound])
    depth = await transport.depth(queue)
    if depth is not None and (depth.messages or depth.consumers):
        await runner.former.empty(queue, SILENT_SECONDS)

"""A real RabbitMQ node, reached by wires that break on demand."""

import asyncio
import re
from contextlib import AsyncExitStack

from yarl import URL

from deploy.broker.node import MAX_MESSAGE_BYTES, RabbitNode
from hocket.broker.port import Transport
from hocket.broker.rabbitmq import RabbitTransport
from tests.hocket.broker.rabbitmq.tcp_proxy import Wire

#: How many messages a queue or stream really has: the counters that RabbitMQ shows are seconds late.
COUNT = """
{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)),
case amqqueue:get_type(Q) of
    rabbit_quorum_queue ->
        {{ok, {{_, N}}, _}} = ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), N;
    rabbit_stream_queue ->
        case maps:to_list(maps:get({{osiris_writer, amqqueue:get_name(Q)}}, osiris_counters:overview(), #{{}})) of
            [] -> 0;
            L -> proplists:get_value(committed_offset, L) - proplists:get_value(first_offset, L) + 1
        end
end.
"""


class RabbitWorld:
    """One virtual host of a node; each transport has a wire of its own."""

    max_message_bytes = MAX_MESSAGE_BYTES

    def __init__(self, node: RabbitNode, url: str, wires: AsyncExitStack) -> None:
        self._node = node
        self._url = URL(url)
        self._stack = wires
        self.wires: dict[str, Wire] = {}

    async def wire(self, name: str) -> Wire:
        """The wire of a transport."""
        if name not in self.wires:
            self.wires[name] = await self._stack.enter_async_context(Wire(self._node.port))
        return self.wires[name]

    async def transport(self, name: str) -> Transport:
        """A transport whose wire can be cut."""
        wire = await self.wire(name)
        return RabbitTransport(str(self._url.with_port(wire.port)), name)

    async def cut(self, name: str) -> None:
        """Break its connections."""
        await self.wires[name].cut()

    async def withhold(self, name: str, on: bool) -> None:
        """Hold answers back."""
        self.wires[name].withhold(on)

    async def alarm(self, on: bool) -> None:
        """Raise the memory alarm."""
        await asyncio.to_thread(self._node.alarm, on)

    async def depth(self, queue: str) -> int:
        """How many are in the queue, by the node's own books."""
        said = await asyncio.to_thread(self._node.ctl, "eval", COUNT.format(vhost=self._url.path[1:], queue=queue))
        found = re.search(r"\d+", said)
        assert found is not None, said
        return int(found[0])

"""A real RabbitMQ node, reached through TCP proxies that break on demand."""

import asyncio
import re
from contextlib import AsyncExitStack

from yarl import URL

from deploy.broker.node import MAX_MESSAGE_BYTES, RabbitNode
from hocket.broker.port import Transport
from hocket.broker.rabbitmq import RabbitTransport
from tests.tcp_proxy import TcpProxy

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
    """One virtual host of a node; each transport has its own proxy."""

    max_message_bytes = MAX_MESSAGE_BYTES

    def __init__(self, node: RabbitNode, url: str, stack: AsyncExitStack) -> None:
        self._node = node
        self._url = URL(url)
        self._stack = stack
        self.proxies: dict[str, TcpProxy] = {}

    async def proxy(self, name: str) -> TcpProxy:
        """The proxy of a transport."""
        if name not in self.proxies:
            self.proxies[name] = await self._stack.enter_async_context(TcpProxy(self._node.port))
        return self.proxies[name]

    async def transport(self, name: str) -> Transport:
        """A transport whose connections can be cut."""
        proxy = await self.proxy(name)
        return RabbitTransport(str(self._url.with_port(proxy.port)), name)

    async def cut(self, name: str) -> None:
        """Break its connections."""
        self.proxies[name].cut()
        await asyncio.sleep(0)

    async def withhold(self, name: str, on: bool) -> None:
        """Withhold answers."""
        self.proxies[name].withhold(on)

    async def alarm(self, on: bool) -> None:
        """Raise the memory alarm."""
        await asyncio.to_thread(self._node.alarm, on)

    async def depth(self, queue: str) -> int:
        """How many messages the queue holds, by the node's own count."""
        said = await asyncio.to_thread(self._node.ctl, "eval", COUNT.format(vhost=self._url.path[1:], queue=queue))
        found = re.search(r"\d+", said)
        assert found is not None, said
        return int(found[0])

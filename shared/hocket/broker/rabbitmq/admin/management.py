"""Lists a RabbitMQ's queues and bindings by its management API, and removes those no longer declared.

The API's counts are seconds late, and no version deletes a quorum queue with `if-empty` or `if-unused`: whether a queue
may be removed is checked over AMQP.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from hocket.broker.leftovers import BrokerObjects
from hocket.broker.rabbitmq.address import addresses
from hocket.broker.rabbitmq.admin.removal import Remover
from hocket.broker.topology import Binding
from hocket.errors import ConfigError

#: Where the API listens, by the scheme of the broker's address: a password sent over TLS is never sent without it.
PORTS = {"amqp": ("http", 15672), "amqps": ("https", 15671)}
#: Seconds that the API may take to answer.
ANSWER_SECONDS = 30.0
#: Most bytes of one answer, and of one read.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
READ_BYTES = 64 * 1024
#: Characters of the API's own reason that are quoted.
MAX_REASON = 300


class Management:
    """The management API on the first node of `broker_url`, or at `url`, with the broker's user or that of `url`.

    An async context manager; every call raises `ConfigError` where the API or the broker does not answer.
    """

    def __init__(self, broker_url: str, url: str = "") -> None:
        nodes = addresses(broker_url)
        broker = nodes[0].url
        scheme, port = PORTS[broker.scheme]
        try:
            there = URL(url) if url else URL.build(scheme=scheme, host=broker.host or "", port=port)
            usable = there.scheme in {"http", "https"} and bool(there.host)
        except ValueError:
            there, usable = URL(), False
        if not usable:
            raise ConfigError("HOCKET_MANAGEMENT_URL is not a valid address: write http://USER:PASSWORD@HOST:15672")
        named = there if there.user else broker
        self._user, self._password = named.user or "guest", named.password or ("" if named.user else "guest")
        self.where = str(there.with_user(None).with_query(None).with_fragment(None)).rstrip("/")
        self._vhost = nodes[0].vhost
        self._remover = Remover(nodes)
        self._tls = nodes[0].tls or True
        self._keys: dict[Binding, list[str]] = {}  # the API's keys of a binding: one for each set of arguments
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Basic {b64encode(f'{self._user}:{self._password}'.encode()).decode()}"},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._remover.close()
        if self._session is not None:
            await self._session.close()

    async def found(self) -> BrokerObjects:
        """The queues and bindings of the virtual host."""
        queues = await self._list("queues", "name")
        bindings = await self._list("bindings", "source,destination,destination_type,routing_key,properties_key")
        self._keys = {}
        for each in bindings:
            to_exchange = each["destination_type"] == "exchange"
            binding = Binding(each["source"], each["destination"], each["routing_key"], to_exchange)
            self._keys.setdefault(binding, []).append(each["properties_key"])
        return BrokerObjects(tuple(each["name"] for each in queues), tuple(self._keys))

    async def unbind(self, binding: Binding) -> None:
        """Remove one binding that `found` has listed; one that is already gone is no error."""
        kind = "e" if binding.to_exchange else "q"
        for key in self._keys.get(binding, []):
            await self._ask("DELETE", "bindings", self._vhost, "e", binding.source, kind, binding.destination, key)

    async def remove(self, queue: str, bindings: Sequence[Binding]) -> str:
        """Remove a queue, these bindings first; returns "", or a sentence that says why the queue is kept."""
        if in_use := await self._remover.in_use(queue):
            return in_use
        for binding in bindings:
            await self.unbind(binding)
        unsettled = await self._ask("GET", "queues", self._vhost, queue)
        if unsettled is None:
            return ""
        return await self._remover.remove(queue, int(unsettled.get("messages_unacknowledged", 0)))

    async def _list(self, what: str, columns: str) -> list[dict[str, Any]]:
        answer = await self._ask("GET", what, self._vhost, query=f"columns={columns}")
        if answer is None:
            raise ConfigError(f"virtual host {self._vhost} does not exist on the broker at {self.where}: {self._hint}")
        if not isinstance(answer, list):
            raise ConfigError(f"{self.where} does not answer as a RabbitMQ's management API does: {self._hint}")
        return answer

    async def _ask(self, method: str, *path: str, query: str = "") -> Any:
        """The API's JSON; None where it says 404, or nothing."""
        assert self._session is not None
        parts = "/".join(quote(part, safe="") for part in path)
        url = URL(f"{self.where}/api/{parts}{'?' if query else ''}{query}", encoded=True)
        try:
            async with self._session.request(method, url, ssl=self._tls, allow_redirects=False) as response:
                status, raw = response.status, await self._body(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failed:
            said = str(failed) or f"no answer within {ANSWER_SECONDS:.0f} s"
            raise ConfigError(f"no management API answers at {self.where} ({said}): {self._hint}") from failed
        if status in {401, 403}:
            raise ConfigError(
                f"the management API at {self.where} does not permit user {self._user} to do this ({_reason(raw)}): "
                "set HOCKET_MANAGEMENT_URL to http://USER:PASSWORD@HOST:15672, with a user that has the tag "
                "`management` and rights in the virtual host"
            )
        if status == 404:
            return None
        if status >= 300:
            raise ConfigError(f"the management API at {self.where} answered {status} ({_reason(raw)}): {self._hint}")
        try:
            return json.loads(raw) if raw else None
        except ValueError as error:
            raise ConfigError(f"{self.where} answered {status} and no JSON: {self._hint}") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        raw = bytearray()
        async for part in response.content.iter_chunked(READ_BYTES):
            raw += part
            if len(raw) > MAX_ANSWER_BYTES:
                raise ConfigError(f"{self.where} answers with more than {MAX_ANSWER_BYTES} bytes: {self._hint}")
        return bytes(raw)

    @property
    def _hint(self) -> str:
        return "set HOCKET_MANAGEMENT_URL to its address, http://HOST:15672, and enable the plugin rabbitmq_management"


def _reason(raw: bytes) -> str:
    """The API's own reason for an error."""
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    said = answer.get("reason") or answer.get("error") if isinstance(answer, dict) else None
    return str(said or "no reason given")[:MAX_REASON]

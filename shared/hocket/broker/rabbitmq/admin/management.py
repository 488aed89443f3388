"""What stands on a RabbitMQ, by its management API; and taking away what nobody hears.

The API's counts are seconds late, and no version removes a quorum queue `if-empty` or `if-unused`: whether a queue may
go is asked over AMQP.
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

#: Where the API listens, by the scheme of the broker's address: a password that travels by TLS goes on doing so.
PORTS = {"amqp": ("http", 15672), "amqps": ("https", 15671)}
#: Seconds that the API may take to answer.
ANSWER_SECONDS = 30.0
#: Bytes of one answer that are read, and of one piece of it.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 64 * 1024
#: Characters of the API's own words that are repeated.
MAX_REASON = 300


class Management:
    """The management API beside the first node of `broker_url`, or at `url`; who asks is the broker's user, or `url`'s.

    An async context manager; everything raises `ConfigError` where the API or the broker cannot be asked.
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
            raise ConfigError("HOCKET_MANAGEMENT_URL is no address: write http://USER:PASSWORD@HOST:15672")
        named = there if there.user else broker
        self._user, self._password = named.user or "guest", named.password or ("" if named.user else "guest")
        self.where = str(there.with_user(None).with_query(None).with_fragment(None)).rstrip("/")
        self._vhost = nodes[0].vhost
        self._remover = Remover(nodes)
        self._tls = nodes[0].tls or True
        self._keys: dict[Binding, list[str]] = {}  # how the API names a binding, of several with other arguments each
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
        """What stands in the virtual host."""
        queues = await self._list("queues", "name")
        bindings = await self._list("bindings", "source,destination,destination_type,routing_key,properties_key")
        self._keys = {}
        for each in bindings:
            to_exchange = each["destination_type"] == "exchange"
            made = Binding(each["source"], each["destination"], each["routing_key"], to_exchange)
            self._keys.setdefault(made, []).append(each["properties_key"])
        return BrokerObjects(tuple(each["name"] for each in queues), tuple(self._keys))

    async def unbind(self, binding: Binding) -> None:
        """Take one binding away that `found` has found; one that is gone since is no error."""
        kind = "e" if binding.to_exchange else "q"
        for key in self._keys.get(binding, []):
            await self._ask("DELETE", "bindings", self._vhost, "e", binding.source, kind, binding.destination, key)

    async def remove(self, queue: str, bindings: Sequence[Binding]) -> str:
        """Take a queue away, these bindings first; else the sentence why it stays."""
        if heard := await self._remover.heard(queue):
            return heard
        for binding in bindings:
            await self.unbind(binding)
        unsettled = await self._ask("GET", "queues", self._vhost, queue)
        if unsettled is None:
            return ""
        return await self._remover.remove(queue, int(unsettled.get("messages_unacknowledged", 0)))

    async def _list(self, what: str, columns: str) -> list[dict[str, Any]]:
        answer = await self._ask("GET", what, self._vhost, query=f"columns={columns}")
        if answer is None:
            raise ConfigError(f"virtual host {self._vhost} does not stand on the broker at {self.where}: {self._out}")
        if not isinstance(answer, list):
            raise ConfigError(f"{self.where} does not answer as a RabbitMQ's management API does: {self._out}")
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
            raise ConfigError(f"no management API answers at {self.where} ({said}): {self._out}") from failed
        if status in {401, 403}:
            raise ConfigError(
                f"the management API at {self.where} does not let user {self._user} do this ({_reason(raw)}): give one "
                "with the tag `management` and rights in the virtual host, as http://USER:PASSWORD@HOST:15672 in "
                "HOCKET_MANAGEMENT_URL"
            )
        if status == 404:
            return None
        if status >= 300:
            raise ConfigError(f"the management API at {self.where} answered {status} ({_reason(raw)}): {self._out}")
        try:
            return json.loads(raw) if raw else None
        except ValueError as error:
            raise ConfigError(f"{self.where} answered {status} and no JSON: {self._out}") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        raw = bytearray()
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            raw += piece
            if len(raw) > MAX_ANSWER_BYTES:
                raise ConfigError(f"{self.where} answers with more than {MAX_ANSWER_BYTES} bytes: {self._out}")
        return bytes(raw)

    @property
    def _out(self) -> str:
        return "name the API of the broker by HOCKET_MANAGEMENT_URL, http://HOST:15672, where rabbitmq_management is on"


def _reason(raw: bytes) -> str:
    """The API's own words in an error."""
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    said = answer.get("reason") or answer.get("error") if isinstance(answer, dict) else None
    return str(said or "no reason given")[:MAX_REASON]

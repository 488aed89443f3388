"""`POST /webhooks/NAME`: the checks in their order, and the answers (RULES 12.1, 12.2)."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from hocket.runtime import Runtime
from hocket.telemetry.signals import Pushed
from hocket.webhooks.declared import Secret, Webhook
from hocket.webhooks.signature import KEPT_HEADERS, MAX_HEADER_BYTES, Push, headers_of
from hocket.worker.webhooks.checks.authentic import Verdict, judge
from hocket.worker.webhooks.checks.rates import Rates, address_of
from hocket.worker.webhooks.checks.skew import SkewWatch
from hocket.worker.webhooks.counts import Counts
from hocket.worker.webhooks.custody import Custody
from hocket.worker.webhooks.ends import End
from hocket.worker.webhooks.interpret import delivery_of
from hocket.worker.webhooks.keys import Taken
from hocket.worker.webhooks.taking import NotTaken, Taking

#: Bytes of all headers of one push; more are answered 431.
MAX_HEAD_BYTES = 16 * 1024
#: Seconds of `Retry-After` on 429 and 503, at random between these, so that senders do not come back together.
RETRY_SECONDS = (1.0, 5.0)
#: Samples that are being written at once; more are left out.
MAX_SAMPLING = 8

PATH = "/webhooks/{source}"


@dataclass(slots=True)
class Door:
    """Answers the pushes of one service."""

    runtime: Runtime
    hooks: Mapping[str, Webhook]
    secrets: Callable[[str], Sequence[Secret]]
    taking: Taking
    custody: Custody
    counts: Counts
    skew: SkewWatch
    full: Callable[[], bool]
    check_open: Callable[[], None]  # raises while the store is not open
    _addresses: Rates = field(init=False)
    _sources: Rates = field(init=False)
    _sampling: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._addresses = Rates(self.runtime.clock.monotonic)
        self._sources = Rates(self.runtime.clock.monotonic)

    def mount(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_post(PATH, self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        """One push."""
        hook = self.hooks.get(request.match_info["source"])
        if hook is None:
            self._count("", End.UNKNOWN)
            return _json({"error": "there is no webhook of this name here"}, 404)
        self.check_open()
        received = self.runtime.clock.now()
        try:
            if (refused := self._before_body(hook, request)) is not None:
                return refused
            body = await self._body(hook, request)
        except web.HTTPRequestEntityTooLarge:
            return self._no(hook, End.LARGE, 413, "the body is too large")
        if isinstance(body, web.Response):
            return body
        headers, fault = _kept_headers(hook, request)
        push = Push(hook.name, "", received, body, headers)
        verdict = Verdict(End.HEADERS, error=fault) if fault else judge(hook, push, self.secrets(hook.name))
        if verdict.end is not None:
            return self._not_authentic(hook, push, verdict)
        if not self._sources.admits(hook.name, hook.rate):
            return self._later(hook, End.RATE, 429, "too many pushes of this source")
        return await self._take(hook, push, verdict)

    def _before_body(self, hook: Webhook, request: web.Request) -> web.Response | None:
        """What is refused before a byte of the body is read."""
        config = self.runtime.config
        if sum(len(name) + len(value) for name, value in request.raw_headers) > MAX_HEAD_BYTES:
            return self._no(hook, End.LARGE, 431, f"the headers have more than {MAX_HEAD_BYTES} bytes")
        if (request.content_length or 0) > config.http_body_bytes:
            return self._no(hook, End.LARGE, 413, f"the body has more than {config.http_body_bytes} bytes")
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        peer = str((request.transport.get_extra_info("peername") or ("",))[0]) if request.transport is not None else ""
        address = address_of(peer, forwarded, config.webhook_proxies)
        if not self._addresses.admits(address, config.webhook_address_rate):
            return self._later(hook, End.RATE, 429, "too many pushes from this address")
        if self.full():
            return self._later(hook, End.FULL, 503, "too many events wait for the broker")
        return None

    async def _body(self, hook: Webhook, request: web.Request) -> bytes | web.Response:
        """The raw bytes, whole; 408 where they do not come in time."""
        try:
            async with asyncio.timeout(self.runtime.config.webhook_body_seconds):
                return await request.read()
        except TimeoutError:
            return self._no(hook, End.SLOW, 408, "the body did not come in time")

    def _not_authentic(self, hook: Webhook, push: Push, verdict: Verdict) -> web.Response:
        end = verdict.end or End.SIGNATURE
        if len(self._sampling) < MAX_SAMPLING:
            sampling = self.custody.sample(hook, push, end, verdict.error, verdict.skew or 0.0)
            task = asyncio.get_running_loop().create_task(sampling, name=f"{self.runtime.service}: sample")
            self._sampling.add(task)
            task.add_done_callback(self._sampling.discard)
        sentence = "the signature is not valid" if end is not End.SKEW else "the timestamp is too far from now"
        return self._no(hook, end, 401, sentence, close=False)

    async def _take(self, hook: Webhook, push: Push, verdict: Verdict) -> web.Response:
        id, fault = delivery_of(hook, push)
        push = Push(push.source, id, push.received, push.body, push.headers)
        try:
            taken = await self.taking.take(hook, push, fault, verdict.secret)
        except NotTaken as why:
            self._count(hook.name, End.BUSY)
            return _json({"error": str(why)}, 503, 1)
        if taken.end in {End.SAID, End.NOTHING} and verdict.skew is not None:
            self.skew.add(verdict.skew)
        self._count(hook.name, taken.end, verdict)
        return _accepted(taken)

    def _count(self, source: str, end: End, verdict: Verdict | None = None) -> None:
        self.counts.add(source, end, self.runtime.clock.now())
        secret, skew = (verdict.secret, verdict.skew) if verdict is not None else (0, None)
        self.runtime.signals.pushed(Pushed(self.runtime.service, source, end.value, secret, skew))

    def _no(self, hook: Webhook, end: End, status: int, sentence: str, *, close: bool = True) -> web.Response:
        """A refusal; where the body was not read the connection is closed."""
        self._count(hook.name, end)
        response = _json({"error": sentence}, status)
        if close:
            response.force_close()
        return response

    def _later(self, hook: Webhook, end: End, status: int, sentence: str) -> web.Response:
        """Nothing was kept: the sender is to come back."""
        self._count(hook.name, end)
        return _json({"error": f"{sentence}; try again later"}, status, self.runtime.chance.uniform(*RETRY_SECONDS))

    async def finished(self) -> None:
        """Wait for what is at work: every commit, and the samples."""
        await self.taking.finished()
        if self._sampling:
            await asyncio.wait(list(self._sampling))


def _kept_headers(hook: Webhook, request: web.Request) -> tuple[Mapping[str, str], str]:
    """The headers that a push keeps, and why it cannot be authentic; "" where that is to be judged."""
    kept: dict[str, str] = {}
    fault = ""
    for name in (*hook.signed.headers, *KEPT_HEADERS):
        values = request.headers.getall(name, [])
        if not values:
            continue
        if len(values) > 1 and name in hook.signed.headers:
            fault = f"the header {name} stands {len(values)} times"
        if len(values[0]) > MAX_HEADER_BYTES:
            fault = fault or f"the header {name} has more than {MAX_HEADER_BYTES} bytes"
        kept[name] = values[0][:MAX_HEADER_BYTES]
    return headers_of(kept), fault


def _accepted(taken: Taken) -> web.Response:
    body = b'{"flow": "' + taken.flow.encode() + b'"}'
    return web.Response(body=body, status=202, content_type="application/json", headers={"Cache-Control": "no-store"})


def _json(value: object, status: int, retry: float = 0.0) -> web.Response:
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(round(retry))} if retry else {})
    return web.Response(
        body=json.dumps(value).encode(), status=status, content_type="application/json", headers=headers
    )

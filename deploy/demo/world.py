"""The shop and the outside world as the demo reaches them: over HTTP, like anybody."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from deploy.demo.place import Place, StepFailed

#: Seconds that one request may take.
REQUEST_SECONDS = 10.0
#: Seconds between two looks at something that is waited for.
LOOK_SECONDS = 0.1
#: Times that a page is asked for.
LOOK_TRIES = 3
#: Longest page that services give.
PAGE = 500

#: The breaker of each service that calls an outside system.
BREAKERS = {
    "payments": "card-api",
    "inventory": "stock-api",
    "shipping": "carrier-api",
    "crm": "crm-api",
    "notifications": "mail-api",
}
#: What a program says to the desk when it acts.
ACT = {"X-Hocket-Act": "1"}
#: The number of a breaker's state in the metrics, as a word.
STATES = {"0": "closed", "1": "half-open", "2": "open", "3": "held"}


class Unanswered(StepFailed):
    """A request got no answer; it may have been taken."""


class World:
    """One HTTP client for everything the demo asks; `seconds` is what one request may take."""

    def __init__(self, place: Place, seconds: float = REQUEST_SECONDS) -> None:
        self.place = place
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def ask(
        self,
        method: str,
        service: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """One request; the status and the answer, {} where that is no JSON object. `Unanswered` where none came."""
        status, found, _ = await self.answer(method, service, path, body=body, headers=headers)
        return status, found

    async def answer(
        self,
        method: str,
        service: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """The same with the headers of the answer; a body of bytes is sent as it is, any other as JSON."""
        url = self.place.url(service) + path
        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        try:
            async with self._http.request(method, url, **sent, headers=headers) as answer:
                raw = await answer.read()
                found = json.loads(raw) if raw and "json" in answer.content_type else {}
                return answer.status, found if isinstance(found, dict) else {}, answer.headers
        except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
            why = str(failed) or type(failed).__name__
            raise Unanswered(f"{method} {path} of {service} got no answer: {why}; {self.log_of(service)}.") from failed

    async def rows(self, service: str, path: str, field: str) -> list[dict[str, Any]]:
        """Every row of a paged list."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            joint = "&" if "?" in path else "?"
            page = await self._page(service, f"{path}{joint}after={after}&limit={PAGE}")
            found += page[field]
            after = page["next"]
        return found

    async def _page(self, service: str, path: str) -> dict[str, Any]:
        """One page, asked for again where no answer came."""
        for left in reversed(range(LOOK_TRIES)):
            try:
                status, page = await self.ask("GET", service, path)
            except Unanswered:
                if not left:
                    raise
                continue
            if status == 200:
                return page
            if not left:
                raise StepFailed(f"GET {path} of {service} answered {status}; {self.log_of(service)}.")
            await asyncio.sleep(LOOK_SECONDS)
        return {}

    def log_of(self, service: str) -> str:
        """The end of a sentence: where the log is."""
        return f"its log is {self.place.shown(self.place.log(service))}"

    async def fault(self, target: str, kind: str, **more: object) -> int:
        """Let something go wrong outside; the fault's id."""
        status, answer = await self.ask("POST", "sandbox", "/faults", body={"target": target, "kind": kind, **more})
        if status != 201:
            raise StepFailed(f"the sandbox did not take a fault ({status} {answer}); {self.log_of('sandbox')}")
        return int(answer["id"])

    async def mend(self, fault: int) -> None:
        """End a fault."""
        await self.ask("DELETE", "sandbox", f"/faults/{fault}")

    async def left(self, fault: int) -> int:
        """How many requests a fault will still befall; 0 where it has ended."""
        _, answer = await self.ask("GET", "sandbox", "/faults")
        return next((int(each["left"]) for each in answer.get("faults", []) if each["id"] == fault), 0)

    async def states(self) -> Counter[str]:
        """How many orders are in which state."""
        return Counter(order["state"] for order in await self.rows("orders", "/orders", "orders"))

    async def mails(self, kind: str) -> int:
        """How many mails of this kind were sent."""
        return sum(mail.get("kind") == kind for mail in await self.rows("sandbox", "/mailbox", "mails"))

    async def order(self, order_id: str) -> dict[str, Any]:
        """One order. `StepFailed` where there is none."""
        status, order = await self.ask("GET", "orders", f"/orders/{order_id}")
        if status != 200:
            raise StepFailed(f"GET /orders/{order_id} answered {status}; {self.log_of('orders')}.")
        return order

    async def flow_state(self, flow: str) -> str:
        """What the tracer says of a flow; "" where it knows nothing of it yet."""
        _, found = await self.ask("GET", "tracer", f"/api/flows/{flow}")
        return str(found.get("state", ""))

    async def breaker(self, service: str) -> str:
        """The state of a service's breaker: closed, half-open, open or held."""
        url = self.place.url(service) + "/metrics"
        try:
            async with self._http.get(url) as answer:
                lines = (await answer.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError) as failed:
            raise Unanswered(f"{service} told no metrics; {self.log_of(service)}.") from failed
        named = f'breaker="{BREAKERS[service]}"'
        for line in lines:
            if line.startswith("hocket_breaker_state{") and named in line:
                return STATES.get(line.rpartition(" ")[2].split(".")[0], "unknown")
        return "closed"

    async def letters(self, state: str = "") -> list[dict[str, Any]]:
        """The desk's letters."""
        return await self.rows("deadletters", f"/api/dead?state={state}" if state else "/api/dead", "letters")

    async def replay(self, letter: str, reason: str) -> str:
        """Replay a letter through the desk; "" or the sentence why the desk did not."""
        path = f"/api/dead/{letter}/replay"
        status, answer = await self.ask("POST", "deadletters", path, body={"reason": reason}, headers=ACT)
        if status == 202:
            return ""
        return f"the desk did not replay letter {letter}: {status} {answer.get('error', '')}"

    async def ready(self, service: str, seconds: float) -> str:
        """Wait until the service is ready; "" or the sentence why it is not."""
        end = time.monotonic() + seconds
        why = "it does not answer"
        while time.monotonic() < end:
            try:
                status, answer = await self.ask("GET", service, "/health/ready")
            except Unanswered as failed:
                why = f"it does not answer: {failed.__cause__}"
            else:
                if status == 200:
                    return ""
                why = "; ".join(answer.get("reasons", [])) or f"/health/ready answers {status}"
            await asyncio.sleep(LOOK_SECONDS)
        return why


async def until(true: Callable[[], Awaitable[bool]], seconds: float, look: float = LOOK_SECONDS) -> bool:
    """Wait until something is true, at most so many seconds; a look that meets no answer counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if await true():
                return True
        except StepFailed:
            pass
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(look)

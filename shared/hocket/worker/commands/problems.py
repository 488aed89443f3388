"""What a command refuses, as `application/problem+json` (RFC 9457): each with the way out."""

import json
from collections.abc import Mapping

from aiohttp import web

#: Methods under which a command can be mounted.
METHODS = ("POST", "PUT", "PATCH", "DELETE")


def problem(
    kind: str, status: int, title: str, detail: str, *, retry_after: int = 0, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A refusal. `kind` is the end of its type; `retry_after` seconds, 0: asking again changes nothing."""
    body = {"type": f"urn:hocket:problem:{kind}", "title": title, "status": status, "detail": detail}
    told = {"Cache-Control": "no-store", **(headers or {})}
    if retry_after:
        told["Retry-After"] = str(retry_after)
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/problem+json", headers=told
    )


def missing() -> web.Response:
    """No key, where one is required."""
    return problem(
        "idempotency-key-missing",
        400,
        "Idempotency-Key is missing",
        "send the header Idempotency-Key: a fresh text for each thing that is to be done, the same when you repeat it",
    )


def malformed(why: str) -> web.Response:
    """No key can be read."""
    return problem("idempotency-key-malformed", 400, "Idempotency-Key is malformed", why)


def other() -> web.Response:
    """The key belongs to another request."""
    return problem(
        "idempotency-key-reused",
        422,
        "Idempotency-Key is used already",
        "this Idempotency-Key was used for another request to this address: take a fresh key for a new one",
    )


def in_progress() -> web.Response:
    """The first is still at work."""
    return problem(
        "command-in-progress",
        409,
        "A request with this Idempotency-Key is at work",
        "the first request with this Idempotency-Key has not ended: ask again for its answer",
        retry_after=1,
    )


def later(why: str, seconds: int) -> web.Response:
    """Not now."""
    return problem("not-now", 503, "Try again later", why, retry_after=seconds)


def unsafe_only(method: str) -> web.Response:
    """The method changes nothing."""
    return problem(
        "method-changes-nothing",
        405,
        "A command changes something",
        f"{method} changes nothing: mount a command under {', '.join(METHODS)}",
        headers={"Allow": ", ".join(METHODS)},
    )


def not_storable(name: str) -> web.Response:
    """The team's own mistake: the log says which."""
    return problem(
        "answer-not-storable",
        500,
        "The answer cannot be stored",
        f"nothing was done: {name} returned an answer that cannot be given again; see the log of the service",
    )

"""Acts need a same-origin request, so that no other site can act for its visitor (CSRF)."""

from urllib.parse import urlsplit

from aiohttp import web

#: Methods that change nothing and need no check.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Header that a program sends with an act; a form of another site cannot send it.
ACT_HEADER = "X-Hocket-Act"


def foreign(request: web.Request) -> str | None:
    """Why this request may not act, as a sentence; None: it comes from our own page or from a program.

    A browser sends `Sec-Fetch-Site` and `Origin`, which must be ours. Without both, `X-Hocket-Act: 1` is needed.
    """
    if request.method in SAFE:
        return None
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        return f"this request was sent by a foreign page (Sec-Fetch-Site: {site}): act from the console's own pages"
    if origin is not None and not _ours(origin, request.host):
        return f"this request was sent by {origin}, not by {request.host}: act from the console's own pages"
    if site is None and origin is None and request.headers.get(ACT_HEADER) != "1":
        return f"the origin of this request is unknown: a program must send the header {ACT_HEADER}: 1"
    return None


def _ours(origin: str, host: str) -> bool:
    """Whether an Origin header names the host that was asked; `null` never does."""
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()

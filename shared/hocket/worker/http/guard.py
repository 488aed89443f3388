"""Which requests a service answers at all: by name of the host, by site, by encoding. Pure.

A browser lets any page send a request to any address. It always says which host it asks for, and from which page: that
is compared here, for every service alike (docs/security.md).
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

#: Hosts by which every service may be asked: names that no foreign page can resolve to this machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: Addresses that mean every interface, so are no name.
EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})
#: Paths that answer whatever the host: a process manager and Prometheus ask by address. They tell no data.
ANY_HOST = ("/health/", "/metrics")
#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Characters of a header's name or of a host in an answer.
MAX_SHOWN = 100


def hosts_of(setting: str, listens_on: str) -> frozenset[str] | None:
    """The hosts by which a service may be asked, by `HOCKET_ALLOWED_HOSTS` and its own address; None: by any."""
    named = {part.strip().lower() for part in setting.split(",") if part.strip()}
    if "*" in named:
        return None
    own = set() if listens_on in EVERY_INTERFACE else {f"[{listens_on}]" if ":" in listens_on else listens_on.lower()}
    return LOOPBACK | named | own


def refusal(request: web.Request, hosts: frozenset[str] | None) -> tuple[int, str] | None:
    """Status and sentence where this request is not answered; None where it is."""
    if "%00" in request.raw_path:  # PostgreSQL stores no NUL in a text, so nothing has such a name
        return 400, "the address contains a NUL"
    if not _is_text((request.path, request.query_string)):
        return 400, "the address is not UTF-8"
    for name, value in request.headers.items():
        if not value.isascii() and not _is_text((value,)):
            return 400, f"header {name[:MAX_SHOWN]} is not UTF-8"
    if not request.path.startswith(ANY_HOST) and hosts is not None and _name_of(request) not in hosts:
        return 421, (
            f"this service does not answer for the host {_name_of(request)[:MAX_SHOWN]!r}: "
            "name it in HOCKET_ALLOWED_HOSTS"
        )
    if request.method not in SAFE and (page := _foreign_page(request)):
        return 403, f"this request was sent by a page of another site ({page})"
    if (request.headers.get("Content-Encoding") or "identity").lower() != "identity":
        return 415, "the body is compressed: send it as it is, without Content-Encoding"
    return None


def _name_of(request: web.Request) -> str:
    """The host that was asked for, without the port."""
    host = request.headers.get("Host", "").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdigit() or not port) else host


def _foreign_page(request: web.Request) -> str:
    """Which page of another site sent it, as its browser says; "" where no browser says so."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in {"none", "same-origin"}:
        return f"Sec-Fetch-Site: {site[:MAX_SHOWN]}"
    origin = request.headers.get("Origin")
    if origin is None:
        return ""
    host = request.headers.get("Host", "").lower()
    try:
        asked = urlsplit(origin)
    except ValueError:
        return f"Origin: {origin[:MAX_SHOWN]}"
    ours = asked.scheme in {"http", "https"} and asked.netloc.lower() == host
    return "" if ours else f"Origin: {origin[:MAX_SHOWN]}"


def _is_text(parts: Iterable[str]) -> bool:
    """Whether these are texts: the server reads bytes that are not UTF-8 as lone surrogates."""
    try:
        for part in parts:
            part.encode()
    except UnicodeEncodeError:
        return False
    return True

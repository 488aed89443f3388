"""What a request asks for: its key, and a fingerprint by which another request under that key is noticed. Pure."""

from email.message import Message
from hashlib import blake2b
from typing import NamedTuple

from hocket.envelope.canonical_json import canonical, read_json
from hocket.envelope.keys import digest
from hocket.errors import Undecodable, Unsayable

#: Types of a body that may be JSON: aiohttp says the second where the request says none.
_MAYBE_JSON = frozenset({"application/json", "application/octet-stream"})


class Asked(NamedTuple):
    """One request with a key. `name` is what its derived keys and outside keys are made from."""

    key: bytes
    name: str
    fingerprint: bytes
    route: str  # `POST /orders/{order_id}`, as it was mounted


def asked_of(service: str, route: str, target: "Target", caller: str, value: str) -> Asked:
    """The request, by (service, method, path, caller, value) (RULES 13.1)."""
    who = ascii(caller)  # a header may hold what is no text
    key = digest("command", service, target.method, target.path, who, value)
    return Asked(key, f"command/{key.hex()}", fingerprint_of(target), route)


class Target(NamedTuple):
    """What a request does, whoever asks: method, path, query and body as they came."""

    method: str
    path: str
    query: str
    content_type: str  # the whole header
    body: bytes


def fingerprint_of(target: Target) -> bytes:
    """A hash of 16 bytes over method, path, query and body.

    JSON counts by its value, whatever its spaces and the order of its fields; a multipart body without its boundary,
    which clients draw anew each time; any other by its bytes.
    """
    kind, body = _body(target)
    whole = blake2b(digest("fingerprint", target.method, target.path, target.query, kind), digest_size=16)
    whole.update(body)
    return whole.digest()


def _body(target: Target) -> tuple[str, bytes]:
    header = Message()
    header["content-type"] = target.content_type or "application/octet-stream"
    kind = header.get_content_type()
    if kind.startswith("multipart/"):
        boundary = str(header.get_param("boundary", ""))
        return kind, target.body.replace(boundary.encode(), b"") if boundary else target.body
    if kind in _MAYBE_JSON or kind.endswith("+json"):
        try:
            return "json", canonical(read_json(target.body), heard=True)
        except (Undecodable, Unsayable):
            pass
    return kind, target.body

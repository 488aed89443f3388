"""An answer as it is stored, and given again (RULES 13.3). Pure."""

import json
import re
from typing import NamedTuple

from aiohttp import web

from hocket.errors import HocketError

#: Bytes of a body that is stored.
MAX_BODY_BYTES = 64 * 1024
#: Bytes of the headers that are stored.
MAX_HEADER_BYTES = 8 * 1024
#: Headers that belong to one connection, one moment or one session: they are not stored.
NOT_STORED = frozenset({
    "connection", "content-length", "date", "keep-alive", "proxy-authenticate", "server", "set-cookie", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: The header that tells a stored answer from the first one.
REPLAYED = "Idempotent-Replayed"


class NotStorable(HocketError):
    """What a command returned cannot be stored, so it could not be given again."""


class Answer(NamedTuple):
    """What is stored of an answer."""

    status: int
    headers: str
    body: bytes


def answer_of(response: object) -> Answer:
    """What is stored of a response; `NotStorable` says why nothing can be, and what to do."""
    if not isinstance(response, web.Response) or response.prepared:
        kind = type(response).__name__
        raise NotStorable(f"it returned {kind}, which is not a whole web.Response: return one, or make it no command")
    body = response.body
    if body is not None and not isinstance(body, bytes | bytearray):
        raise NotStorable("the body of its answer is a stream: return the bytes, or an address where they are read")
    if len(body or b"") > MAX_BODY_BYTES:
        raise NotStorable(
            f"its answer has {len(body or b'')} bytes, and at most {MAX_BODY_BYTES} are stored: "
            "return an address where the rest is read"
        )
    pairs = [[name, value] for name, value in response.headers.items() if name.lower() not in NOT_STORED]
    if wrong := next((name for name, value in pairs if not (_is_sendable(name) and _is_sendable(value))), None):
        raise NotStorable(
            f"the header {wrong!a} of its answer has a line end, a control character or what is no text, and no "
            "server sends it: quote the value, as urllib.parse.quote does"
        )
    headers = json.dumps(pairs)
    if len(headers) > MAX_HEADER_BYTES:
        raise NotStorable(f"the headers of its answer have {len(headers)} bytes, and the bound is {MAX_HEADER_BYTES}")
    return Answer(response.status, headers, bytes(body or b""))


def _is_sendable(text: str) -> bool:
    """Whether it can stand in a header; else the answer would be refused when it is sent, each time anew."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not _CONTROL.search(text)


def response_of(answer: Answer, *, replayed: bool) -> web.Response:
    """The response again."""
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in json.loads(answer.headers):
        response.headers.add(name, value)
    if replayed:
        response.headers[REPLAYED] = "true"
    return response

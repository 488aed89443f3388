"""The HTTP client of the dead-letter desk, for `hocket dead`."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from hocket.errors import ConfigError, HocketError

#: Seconds that the desk has to answer: a replay waits for the broker's confirm.
ANSWER_SECONDS = 30.0
#: Longest answer in bytes; the rest is not read.
MAX_ANSWER_BYTES = 32 * 1024 * 1024

_NO_ADDRESS = "the desk's address {!r} is invalid; give http://HOST:PORT by --desk or HOCKET_DESK_URL"

Query = dict[str, str | int]


class DeskRefused(HocketError):
    """The desk answered with an error; the text is its message, `answer` the whole answer."""

    def __init__(self, sentence: str, answer: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.answer = answer


def ask(desk: str, method: str, path: str, query: Query | None = None, body: Any = None) -> dict[str, Any]:
    """Send one request and return the desk's JSON.

    Raises `ConfigError` if no desk answers at this address, `DeskRefused` if it answers with an error.
    """
    try:
        parts = urlsplit(desk)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # of its brackets or its port
        raise ConfigError(_NO_ADDRESS.format(desk)) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(_NO_ADDRESS.format(desk))
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=ANSWER_SECONDS)
    target = parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
    headers = {"Accept": "application/json", "X-Hocket-Act": "1", "Content-Type": "application/json"}
    try:
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        status, raw = response.status, response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ConfigError(
            f"no desk answers at {desk} ({str(error) or type(error).__name__}); start it, or "
            "give another address by --desk or HOCKET_DESK_URL"
        ) from error
    finally:
        connection.close()
    return _answer(desk, status, raw)


def _answer(desk: str, status: int, raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConfigError(
            f"{desk} answered {status} without a JSON object, so it is not a dead-letter desk; give another address"
        )
    if status >= 400:
        raise DeskRefused(str(answer.get("error", f"the desk answered {status}")), answer)
    return answer

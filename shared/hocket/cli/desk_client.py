"""Speaks to the dead-letter desk over HTTP, for `hocket dead`."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from hocket.errors import ConfigError, HocketError

#: Seconds the desk may take to answer: a replay waits for the broker's confirm.
ANSWER_SECONDS = 30.0
#: Bytes of one answer that are read.
MAX_ANSWER_BYTES = 32 * 1024 * 1024

Query = dict[str, str | int]


class DeskRefused(HocketError):
    """The desk answered, and not with yes; the text is its sentence, `answer` the whole."""

    def __init__(self, sentence: str, answer: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.answer = answer


def ask(desk: str, method: str, path: str, query: Query | None = None, body: Any = None) -> dict[str, Any]:
    """One request; the desk's JSON.

    `ConfigError` where there is no desk at this address, `DeskRefused` where it answers with an error.
    """
    parts = urlsplit(desk)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"the desk's address is {desk!r}: give http://HOST:PORT by --desk or HOCKET_DESK_URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_SECONDS)
    target = parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
    headers = {"Accept": "application/json", "X-Hocket-Act": "1", "Content-Type": "application/json"}
    try:
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        status, raw = response.status, response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ConfigError(
            f"no desk answers at {desk} ({str(error) or type(error).__name__}): is it running? "
            "Name another by --desk or HOCKET_DESK_URL"
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
        raise ConfigError(f"{desk} answered {status} and no JSON: that is no dead-letter desk")
    if status >= 400:
        raise DeskRefused(str(answer.get("error", f"the desk answered {status}")), answer)
    return answer

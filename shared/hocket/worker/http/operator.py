"""Takes commands of the person who operates a running service: from this machine, with the token of a private file.

Where a service keeps its data in an SQLite file nobody else may write there while it runs, so that a command such as
`hocket breaker open` asks the service itself, over its own port. Two things keep others out: the caller must be on the
loopback interface and ask for a loopback host, without an `Origin`, so that no page of a browser can do it; and it must
know the token, which is new at each start and stands in a file beside the database that only its owner can read.
"""

import hmac
import ipaddress
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from hocket.errors import ConfigError, HocketError
from hocket.worker.http.guard import EVERY_INTERFACE

#: Where commands are asked for; the rest of the path is the command's name.
PATH = "/hocket/operator/"
#: Largest body of a command, in bytes.
MAX_COMMAND_BYTES = 64 * 1024
#: Headers that only a browser or a proxy sends: whoever sends one is not the command line.
FOREIGN_HEADERS = ("Origin", "Sec-Fetch-Site", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")

_TOKEN_BYTES = 32

#: What a command gets is the JSON object that was sent, what it returns is the answer. `CommandRefused` says no.
Command = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class CommandRefused(HocketError):
    """The command was understood, and the answer is no; the text says why. Nothing was changed."""


def loopback_of(host: str) -> str:
    """The loopback address by which a service that listens on `host` can be asked; "" where there is none."""
    if host in EVERY_INTERFACE:
        return "::1" if host == "::" else "127.0.0.1"
    return host if _is_loopback(host) else ""


class Operator:
    """The commands of one running service, by name, and the file that tells where and with which token to ask.

    `listening` writes the file, `close` removes it. Whoever calls `listening` holds the database's lock.
    """

    def __init__(self, file: Path, commands: Mapping[str, Command]) -> None:
        self._file = file
        self._commands = commands
        self._token = secrets.token_urlsafe(_TOKEN_BYTES)

    def mount(self, app: web.Application) -> None:
        """Add the route to a service's HTTP application."""
        app.router.add_post(PATH + "{command}", self._respond)

    def listening(self, host: str, port: int) -> None:
        """Write the file, readable by its owner only. `ConfigError` where it cannot be written."""
        told = json.dumps({"host": loopback_of(host), "listens_on": host, "port": port, "token": self._token})
        fresh = self._file.with_name(f"{self._file.name}.new")
        try:
            fresh.unlink(missing_ok=True)  # what a killed process has left, or a link of somebody else
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
                writing.write(told)
            fresh.replace(self._file)
        except OSError as error:
            raise ConfigError(
                f"{self._file}, by which commands reach this service, cannot be written ({error.strerror}): give this "
                "user the right to write the folder, free some space, or set HOCKET_DATABASE_URL to another one"
            ) from error

    def close(self) -> None:
        """Remove the file, unless another process has written its own meanwhile."""
        with suppress(OSError, ValueError, KeyError):
            if json.loads(self._file.read_text(encoding="utf-8"))["token"] == self._token:
                self._file.unlink()

    async def _respond(self, request: web.Request) -> web.Response:
        if (refused := _foreign(request)) is not None:
            return _json({"error": refused}, 403)
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return _json({"error": f"the token is not that of {self._file}: it is new at each start"}, 401)
        name = request.match_info["command"]
        command = self._commands.get(name)
        if command is None:
            return _json({"error": "this service does not know the command: its hocket is of another version"}, 404)
        if request.content_length is None or request.content_length > MAX_COMMAND_BYTES:
            return _json({"error": f"a command has at most {MAX_COMMAND_BYTES} bytes, and says how many"}, 413)
        body = await request.json()
        if not isinstance(body, dict):
            return _json({"error": "the body is not a JSON object"}, 400)
        try:
            return _json(await command(body), 200)
        except CommandRefused as no:
            return _json({"error": str(no)}, 409)


def _foreign(request: web.Request) -> str | None:
    """Why this request is not from a command line of this machine; None where it is."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not peer or not _is_loopback(str(peer[0])):
        return "commands are taken from this machine only, over the loopback interface"
    host = request.host.rpartition(":")[0] or request.host
    if not _is_loopback(host.strip("[]")):
        return "commands are taken for a loopback host only"
    if found := next((name for name in FOREIGN_HEADERS if name in request.headers), ""):
        return f"commands are taken from the command line only, and this request has the header {found}"
    return None


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _json(value: Mapping[str, Any], status: int) -> web.Response:
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})

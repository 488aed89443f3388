"""`hocket timers` as the service or its store carries it out: lists, cancels and moves what waits for its time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hocket.store.port import Store
from hocket.store.timers import WaitingEntry, Wanted
from hocket.worker.http.operator import CommandRefused

#: Most rows of one list, and the longest time by which something may be moved, in seconds.
MOST_ROWS = 1000
LONGEST_MOVE = 3650 * 86_400.0
#: Characters of a reason that a row keeps.
MOST_CHARS = 500


def _nothing() -> None:
    """Nobody waits in a process that only runs the command."""


@dataclass(frozen=True, slots=True)
class TimersCommand:
    """A `hocket.worker.http.operator.Command`; `moved` is called when something may be due earlier than before."""

    store: Store
    moved: Callable[[], None] = _nothing

    async def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out `list`, `cancel` or `move`. Raises `CommandRefused` where the answer is no."""
        match body.get("do"):
            case "list":
                wanted = {name: _text(body, name) for name in ("kind", "subscription", "subject", "type")}
                limit = min(max(int(body.get("limit") or 1), 1), MOST_ROWS)
                return {"waiting": [each._asdict() for each in await self._listed(Wanted(**wanted, limit=limit))]}
            case "cancel":
                return await self._cancel(await self._one(body), _note(body))
            case "move":
                return await self._move(await self._one(body), float(body.get("seconds") or 0.0), _note(body))
            case _:
                raise CommandRefused("this service's hocket knows list, cancel and move only")

    async def _listed(self, wanted: Wanted) -> list[WaitingEntry]:
        return await self.store.timers.listed(wanted)

    async def _one(self, body: Mapping[str, Any]) -> WaitingEntry:
        id = _text(body, "id")
        found = await self._listed(Wanted(id=id, limit=1)) if id else []
        if not found:
            raise CommandRefused(
                f"nothing waits under the id {id}: it was answered, has fired or was sent, or the id is not whole; "
                "`hocket timers list` shows what waits"
            )
        return found[0]

    async def _cancel(self, entry: WaitingEntry, note: bytes) -> Mapping[str, Any]:
        if entry.kind == "retry":
            raise CommandRefused(
                f"{entry.id} is a retry of {entry.subscription}, and without it this delivery would be lost: move it, "
                "or resolve its letter at the desk once it has died"
            )
        if not await self.store.timers.cancel(entry.id, note):
            raise _overtaken(entry)
        return {"cancelled": entry._asdict()}

    async def _move(self, entry: WaitingEntry, seconds: float, note: bytes) -> Mapping[str, Any]:
        if not 0.0 <= seconds <= LONGEST_MOVE:
            raise CommandRefused(f"{seconds} s is out of bounds: give 0 s to 3650 days from now")
        if not await self.store.timers.move(entry.id, seconds, note):
            raise _overtaken(entry)
        self.moved()
        return {"moved": entry._replace(due_in=seconds)._asdict()}


def _note(body: Mapping[str, Any]) -> bytes:
    """What the row keeps of who did it and why."""
    told = {name: _text(body, name)[:MOST_CHARS] for name in ("by", "reason")}
    return json.dumps(told, ensure_ascii=False).encode()


def _text(body: Mapping[str, Any], name: str) -> str:
    """A text of the command; what no store takes, as a terminal's odd bytes, is replaced."""
    return str(body.get(name) or "").encode(errors="replace").decode().replace("\0", "\ufffd")


def _overtaken(entry: WaitingEntry) -> CommandRefused:
    return CommandRefused(f"{entry.kind} {entry.id} does not wait any more: it was answered or sent just now")

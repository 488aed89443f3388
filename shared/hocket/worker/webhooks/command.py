"""`hocket webhooks` as the service or its store carries it out: lists, shows, asks for a retry, discards."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hocket.console.masking import MASKED
from hocket.runtime import ServiceInstance
from hocket.store.port import Store
from hocket.store.records import Ending
from hocket.worker.http.operator import CommandRefused
from hocket.worker.webhooks import kept
from hocket.worker.webhooks.counts import fact_of
from hocket.worker.webhooks.ends import State
from hocket.worker.webhooks.kept import KeptRow
from hocket.worker.webhooks.retrying import ANY_SKEW

#: Bytes of a body that are shown, and characters of a note that a row keeps.
SHOWN_BYTES = 256 * 1024
MOST_CHARS = 500
#: Rows that one command asks for.
MOST_ASKED = kept.MOST_ROWS

_OPEN = (State.KEPT.value, State.REFUSED.value)


def _nothing() -> None:
    """Nobody waits in a process that only runs the command."""


@dataclass(frozen=True, slots=True)
class WebhooksCommand:
    """A `hocket.worker.http.operator.Command`; `asked` is called when something is to be tried again."""

    store: Store
    service: str
    asked: Callable[[], None] = _nothing

    async def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out `list`, `show`, `retry` or `discard`. Raises `CommandRefused` where the answer is no."""
        match body.get("do"):
            case "list":
                return {"webhooks": await self._listed(body)}
            case "show":
                return {"webhook": shown(await self._one(body))}
            case "retry":
                return await self._retry(body)
            case "discard":
                return await self._discard(await self._one(body), _note(body))
            case _:
                raise CommandRefused("this service's hocket knows list, show, retry and discard only")

    async def _listed(self, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        limit = min(max(int(body.get("limit") or 1), 1), kept.MOST_ROWS)
        async with self.store.read() as db:
            return list(await kept.listed(db, _text(body, "source"), _text(body, "cause"), _text(body, "state"), limit))

    async def _one(self, body: Mapping[str, Any]) -> KeptRow:
        id = _text(body, "id")
        async with self.store.read() as db:
            row = await kept.one(db, id) if id else None
        if row is None:
            raise CommandRefused(f"no webhook has the id {id}, or several begin so; `hocket webhooks list` shows them")
        return row

    async def _retry(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask for one, or for all kept ones of a source and cause."""
        if _text(body, "id"):
            row = await self._one(body)
            if row.state not in _OPEN:
                raise CommandRefused(f"{row.id} is settled: {row.state}; nothing is left to be tried")
            ids = [row.id]
        else:
            wanted = {**body, "state": State.KEPT.value, "limit": MOST_ASKED}
            ids = [each["id"] for each in await self._listed(wanted)]
        async with self.store.transaction() as tx:
            db = await tx.db()
            values = {"asked": ANY_SKEW if body.get("accept_skew") else 1, "note": _note(body)}
            ids = [id for id in ids if await kept.change(db, id, _OPEN, **values)]
        self.asked()
        return {"asked": ids}

    async def _discard(self, row: KeptRow, note: str) -> Mapping[str, Any]:
        now = (await self.store.clock.time()).now
        async with self.store.transaction() as tx:
            state = State.DISCARDED.value
            changed = await kept.change(await tx.db(), row.id, _OPEN, state=state, asked=0, note=note, updated=now)
            if changed:
                await tx.write([Ending(receipt=self._fact(row._replace(state=state), now))])
        if not changed:
            raise CommandRefused(f"{row.id} is settled already")
        self.asked()
        return {"discarded": row.id}

    def _fact(self, row: KeptRow, now: float) -> bytes:
        """The desk hears of it; the relay of the service finds the row, as it finds those of a process that is gone."""
        speaker = ServiceInstance(self.service, "", "")
        return fact_of(row, speaker, datetime.fromtimestamp(now, UTC), datetime.fromtimestamp(row.received, UTC))


def shown(row: KeptRow) -> dict[str, Any]:
    """One row as people see it: sensitive values masked at any depth, a body that is no JSON not shown."""
    told = {name: getattr(row, name) for name in KeptRow._fields if name not in {"body", "key", "body_hash", "hidden"}}
    told["headers"] = dict(row.header_map)
    told["note"] = json.loads(row.note) if row.note else {}
    try:
        found = json.loads(row.body) if row.whole and row.size <= SHOWN_BYTES else None
    except (ValueError, RecursionError):
        found = None
    told["body"] = _masked(found, frozenset(json.loads(row.hidden))) if found is not None else None
    return told


def _masked(value: Any, hidden: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: MASKED if name in hidden else _masked(each, hidden) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, hidden) for each in value]
    return value


def _note(body: Mapping[str, Any]) -> str:
    """What the row keeps of who did it and why."""
    told = {name: _text(body, name)[:MOST_CHARS] for name in ("by", "reason")}
    return json.dumps(told, ensure_ascii=False)


def _text(body: Mapping[str, Any], name: str) -> str:
    """A text of the command; what no store takes, as a terminal's odd bytes, is replaced."""
    return str(body.get(name) or "").encode(errors="replace").decode().replace("\0", "\ufffd")

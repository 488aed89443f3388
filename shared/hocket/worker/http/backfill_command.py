"""`hocket backfill` as the service or its store carries it out: shows backfills, and lets one go on (RULES 7.5)."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hocket.store.port import Store
from hocket.streams.backfill.progress import told
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import Backfill, Phase, accepted, let_on
from hocket.telemetry.signals import BackfillSample
from hocket.worker.http.operator import CommandRefused


def _nothing() -> Mapping[str, BackfillSample]:
    """A process that only runs the command reads nothing."""
    return {}


@dataclass(frozen=True, slots=True)
class BackfillCommand:
    """A `hocket.worker.http.operator.Command`; `figures` is what this process knows of those that it reads."""

    store: Store
    figures: Callable[[], Mapping[str, BackfillSample]] = _nothing

    async def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out `list`, `go-on` or `accept-gap`. Raises `CommandRefused` where the answer is no."""
        rows = await BackfillRows(self.store).all()
        name = str(body.get("subscription") or "")
        if body.get("do") == "list":
            figures = self.figures()
            wanted = [each for each in rows.values() if name in ("", each.subscription)]
            return {"backfills": [told(each, figures.get(each.subscription)) for each in wanted]}
        row = rows.get(name)
        if row is None:
            known = ", ".join(sorted(rows)) or "none"
            raise CommandRefused(f"{name} has never heard history; those that have or do: {known}")
        match body.get("do"):
            case "go-on":
                return await self._change(row, Phase.PAUSED, let_on(row))
            case "accept-gap":
                return await self._change(row, Phase.FAILED, accepted(row, str(uuid.uuid4())))
            case _:
                raise CommandRefused("this service's hocket knows list, go-on and accept-gap only")

    async def _change(self, row: Backfill, phase: Phase, to: Backfill) -> Mapping[str, Any]:
        if row.phase is not phase:
            word = {Phase.PAUSED: "--go-on lets a paused one go on", Phase.FAILED: "--accept-gap is for a failed one"}
            raise CommandRefused(f"the backfill of {row.subscription} is {row.phase.value}; {word[phase]}")
        if not await BackfillRows(self.store).write(row, to):
            raise CommandRefused(f"the backfill of {row.subscription} has just changed: look again")
        return {"changed": told(to, None)}

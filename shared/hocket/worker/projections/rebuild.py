"""`hocket rebuild` as the service or its store carries it out: begins a generation, shows how all stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import Generation, GenerationState, begun, building, serving
from hocket.store.port import Store
from hocket.worker.http.operator import CommandRefused


@dataclass(frozen=True, slots=True)
class RebuildCommand:
    """A `hocket.worker.http.operator.Command`."""

    store: Store

    async def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out `list`, `begin` or `swap`. Raises `CommandRefused` where the answer is no."""
        projection = str(body.get("projection") or "")
        match body.get("do"):
            case "list":
                async with self.store.read() as connection:
                    found = await rows.all_rows(connection)
                if projection and projection not in found:
                    raise _unknown(projection, found)
                shown = [each for name in ([projection] if projection else found) for each in found[name]]
                return {"generations": [_told(each) for each in shown]}
            case "begin":
                return await self._begin(projection, again=bool(body.get("again")))
            case "swap":
                return await self._force(projection)
            case _:
                raise CommandRefused("this service's hocket knows list, begin and swap only")

    async def _begin(self, projection: str, *, again: bool) -> Mapping[str, Any]:
        """The next generation, of the version that is built or serves; the running service fills it."""
        now = (await self.store.clock.time()).now
        async with self.store.transaction() as tx:
            db = await tx.db()
            before = await rows.rows_of(db, projection, lock=True)
            old, new = serving(before), building(before)
            if old is None:
                raise _unknown(projection, await rows.all_rows(db))
            if new is not None and not again:
                raise CommandRefused(
                    f"generation {new.n} of {projection} is being built already{_why(new)}; give --again to give it "
                    "up and begin anew"
                )
            like = new or old
            made = Generation(projection, 0, like.version, GenerationState.BUILDING, hears=like.hears)
            changed = begun(before, made)
            await rows.write(db, before, changed, now)
        return {"generation": _told(changed[-1])}

    async def _force(self, projection: str) -> Mapping[str, Any]:
        """Let what is being built serve, whatever it lacks."""
        async with self.store.transaction() as tx:
            db = await tx.db()
            before = await rows.rows_of(db, projection, lock=True)
            new = building(before)
            if new is None:
                raise CommandRefused(f"no generation of {projection} is being built")
            forced = new._replace(forced=True)
            await rows.write(db, before, [forced], 0.0)
        return {"generation": _told(forced)}


def _told(one: Generation) -> Mapping[str, Any]:
    return {
        "projection": one.projection, "n": one.n, "version": one.version, "state": str(one.state), "note": one.note,
        "changed": one.changed,
    }  # fmt: skip


def _why(one: Generation) -> str:
    return f" ({one.note})" if one.note else ""


def _unknown(projection: str, found: Mapping[str, object]) -> CommandRefused:
    known = ", ".join(sorted(found)) or "none"
    return CommandRefused(f"this service has no projection {projection} that serves; it has {known}")

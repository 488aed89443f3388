"""Masks sensitive fields on the server, before anything is sent (docs/console.md §11)."""

from collections.abc import Iterable, Mapping
from typing import Any

from hocket.envelope.cloudevent import Json

#: Shown in place of a sensitive value.
MASKED = "••••• masked"


class Masks:
    """Which fields of which events are masked, collected from all manifests.

    Of an event that no manifest names all fields are masked, since nothing says which are sensitive.
    """

    def __init__(self, manifests: Iterable[Mapping[str, Any]] = ()) -> None:
        self._fields: dict[str, set[str]] = {}
        for manifest in manifests:
            self.learn(manifest)

    def learn(self, manifest: Mapping[str, Any]) -> None:
        """Add one manifest (docs/wire.md#receipts)."""
        named = list(manifest.get("says") or ())
        for subscription in manifest.get("subscriptions") or ():
            for key in ("hears", "says", "scheduled", "why", "on_dead"):
                named += subscription.get(key) or ()
        for type_, version in named:
            self._fields.setdefault(f"{type_}/{version}", set())
        for event, fields in (manifest.get("sensitive") or {}).items():
            self._fields.setdefault(event, set()).update(fields)

    def known(self, type: str, version: int) -> bool:
        """Whether a manifest names this event."""
        return f"{type}/{version}" in self._fields

    def fields(self, type: str, version: int) -> frozenset[str]:
        """The fields of this event that are declared sensitive."""
        return frozenset(self._fields.get(f"{type}/{version}", ()))

    def mask(self, type: str, version: int, data: Mapping[str, Json]) -> dict[str, Json]:
        """`data` with every sensitive value replaced by `MASKED`; of an unknown event every value."""
        if not self.known(type, version):
            return dict.fromkeys(data, MASKED)
        hidden = self.fields(type, version)
        return {name: MASKED if name in hidden else value for name, value in data.items()}

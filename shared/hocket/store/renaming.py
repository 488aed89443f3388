"""Runs that began before `across` was switched on, and the names by which they are found since (RULES 5.1). Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hocket.envelope.keys import run_key


class AcrossStep(NamedTuple):
    """A step whose runs are found by their scope alone: its identity, and how many fields make the scope."""

    identity: str
    fields: int

    def run_of(self, scope: str) -> bytes | None:
        """The run of this scope; None for a scope that was made of something else, which nobody looks for."""
        try:
            values = json.loads(scope)
        except ValueError:
            return None
        if not isinstance(values, list) or len(values) != self.fields:
            return None
        return bytes.fromhex(run_key("", self.identity, scope))


class Renamed(NamedTuple):
    """One run under its old name and its new one."""

    run: bytes
    new: bytes


def renamed_of(runs: Iterable[Sequence[Any]], steps: Mapping[str, AcrossStep]) -> list[Renamed]:
    """Which of these runs (name, step, scope) have another name now; of several with one name the first."""
    found: dict[bytes, Renamed] = {}
    for run, step, scope in runs:
        across = steps.get(step)
        new = across.run_of(scope) if across is not None else None
        if new is not None and new != bytes(run):
            found.setdefault(new, Renamed(bytes(run), new))
    return list(found.values())

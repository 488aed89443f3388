"""What services declared of themselves: who hears what, and who owns what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.fold.expectations import Expected, expectations
from services.tracer.keep.facts import all_manifests
from services.tracer.read.facts import Manifest


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What services declared, and when it was first known."""

    manifests: Sequence[tuple[Manifest, datetime]]
    expected: Expected

    def owner(self, service: str) -> str:
        """Who owns a service, by its last manifest; empty where none was seen."""
        return next((each.owner for each, _ in reversed(self.manifests) if each.service == service), "")


async def knowledge(db: AsyncConnection) -> Knowledge:
    """Everything that services declared so far."""
    manifests = await all_manifests(db)
    return Knowledge(manifests, expectations(manifests))

"""What services declared of themselves: who hears what, who owns what, what must not be shown."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Masks
from hocket.console.facts import Declared, Manifest
from hocket.console.named_values import value_of
from services.tracer.fold.expectations import Expected
from services.tracer.keep.declared import DECLARED, REMEMBERED, all_manifests, expected_of
from services.tracer.keep.tables import marks

_remembered: "OrderedDict[str, Knowledge]" = OrderedDict()


@dataclass(frozen=True)
class Knowledge:
    """What services declared, and when it was first known."""

    manifests: Sequence[tuple[Manifest, datetime]]
    expected: Expected

    @cached_property
    def _owners(self) -> Mapping[str, str]:
        return {each.service: each.owner for each, _ in self.manifests}

    def owner(self, service: str) -> str:
        """Who owns a service, by its last manifest; empty where none was seen."""
        return self._owners.get(service, "")

    @cached_property
    def masks(self) -> Masks:
        """Which fields must not be shown, by every manifest ever seen."""
        return Masks(manifest.model_dump() for manifest, _ in self.manifests)

    @cached_property
    def budgets(self) -> Mapping[str, float]:
        """The seconds that all attempts and waits of each subscription take, as last declared."""
        return {name: each.budget for name, each in self.subscriptions.items()}

    @cached_property
    def subscriptions(self) -> Mapping[str, Declared]:
        """Every subscription as last declared, by name."""
        return {one.name: one for each, _ in self.manifests for one in each.subscriptions}


async def knowledge(db: AsyncConnection) -> Knowledge:
    """Everything that services declared so far; remembered until a manifest is new."""
    mark = await value_of(db, marks, DECLARED)
    if not mark:
        return Knowledge((), {})
    if mark not in _remembered:
        _remembered[mark] = Knowledge(await all_manifests(db), await expected_of(db))
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[mark]

"""The ids and keys of what one cause says, in the order in which it is said (RULES 2.3). Pure but for new ids."""

from collections.abc import Callable
from typing import NamedTuple

from hocket.envelope.keys import derived_key


class SaidKey(NamedTuple):
    """How one said event is named: its id is new, its key derived from the cause; without a cause they are equal."""

    type: str
    event_id: str
    key: str


class SaidKeys:
    """Names the events that one cause says, one after the other.

    `identity` is (source, type, idempotency key) of what was handled, None where there is none; `keyed_by` the
    subscription, `flow` the correlation id, `new_id` makes ids.
    """

    __slots__ = ("_flow", "_identity", "_keyed_by", "_new_id", "_ordinals", "named")

    def __init__(
        self, identity: tuple[str, str, str] | None, keyed_by: str, flow: str, new_id: Callable[[], str]
    ) -> None:
        self._identity = identity
        self._keyed_by = keyed_by
        self._flow = flow
        self._new_id = new_id
        self._ordinals: dict[str, int] = {}
        self.named: list[SaidKey] = []

    def add(self, type: str) -> SaidKey:
        """The names of the next event, which has this type."""
        key = event_id = self._new_id()
        if self._identity is not None:
            ordinal = self._ordinals.get(type, 0)
            key = derived_key(self._identity, self._keyed_by, type, ordinal, self._flow)
            self._ordinals[type] = ordinal + 1
        named = SaidKey(type, event_id, key)
        self.named.append(named)
        return named

    def in_flow(self, flow: str) -> "SaidKeys":
        """The same events as another flow names them."""
        same = SaidKeys(self._identity, self._keyed_by, flow, self._new_id)
        for each in self.named:
            same.add(each.type)
        return same

"""A reader's place in a stream, as the store keeps it: how far, who holds it, what was read last (RULES 7.1). Pure."""

from typing import NamedTuple

from hocket.store.records import Offset


class Place(NamedTuple):
    """The place of a reader; `beats` grows while its holder lives, `mark` identifies the message before `next`."""

    next: int
    holder: str
    beats: int = 0
    mark: str = ""

    @classmethod
    def of(cls, stored: Offset) -> "Place":
        """The place that was stored; earlier versions stored the holder alone."""
        holder, _, rest = stored.token.partition("/")
        beats, _, mark = rest.partition("/")
        return cls(stored.next, holder, int(beats) if beats.isdigit() else 0, mark)

    def stored(self) -> Offset:
        """The place as it is stored."""
        return Offset(self.next, f"{self.holder}/{self.beats}/{self.mark}")

    def taken(self, holder: str) -> "Place":
        """The same place, held by this reader."""
        return self._replace(holder=holder, beats=self.beats + 1)

    def beaten(self) -> "Place":
        """The same place, a moment later."""
        return self._replace(beats=self.beats + 1)

    def moved(self, next: int, mark: str) -> "Place":
        """The place behind what was read."""
        return self._replace(next=next, beats=self.beats + 1, mark=mark)

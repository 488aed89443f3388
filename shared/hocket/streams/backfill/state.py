"""What a backfill is and how it goes on, as its row says it (RULES 7.5). Pure; the model runs these decisions."""

from enum import StrEnum
from typing import NamedTuple

from hocket.streams.gap import Kind

#: Letters of history at which the reading pauses until a person lets it go on.
MOST_LETTERS = 100
#: `start` of one that has to find what the log holds.
ANYWHERE = -1


class Phase(StrEnum):
    """Where a backfill stands."""

    READING = "reading"  # the queue is bound and not consumed
    PAUSED = "paused"  # by letters; a person lets it go on
    FAILED = "failed"  # the log was cut or made anew, or does not reach back; a person accepts the gap
    LIVE = "live"  # the queue is consumed
    DROPPED = "dropped"  # given up by who began it


class Backfill(NamedTuple):
    """One row. Offsets are those of the log; a mark tells one message from another (`hocket.streams.gap.mark_of`)."""

    subscription: str  # its first name
    id: str  # in each of its markers; a gap that was accepted makes another
    phase: Phase = Phase.READING
    since: str = "first"
    holder: str = ""  # the process that reads
    start: int = 0
    next: int = 0  # the lowest offset that is not finished
    anchor: str = ""  # mark of what stood at `start`; "": nothing stood there
    mark: str = ""  # mark of what stood before `next`; "": nothing was read since `start`
    events: int = 0  # of history that were finished
    letters: int = 0  # since it began or a person let it go on
    missed: int = 0  # messages that a person has accepted as missing
    reason: str = ""  # why it does not go on
    began: float = 0.0
    patrol: float = 0.0  # until when the patrol goes on

    @property
    def here(self) -> int:
        """From where the log is asked: one back, so that it can be compared (RULES 7.5 d)."""
        return self.next - 1 if self.mark else self.next

    @property
    def expected(self) -> str:
        """The mark of what must stand there; "": nothing is known of it."""
        return self.mark or self.anchor


class Found(NamedTuple):
    """What the log shows at a place; `missed`: messages that are gone, as far as offsets tell."""

    kind: Kind
    missed: int = 0


def compare(row: Backfill, offset: int, mark: str) -> Found:
    """Whether the log still is the one that was read, by the first message that comes for `row.here`."""
    if not row.expected:
        return Found(Kind.SAME) if offset <= row.here else Found(Kind.CUT, offset - row.next)
    if offset == row.here:
        return Found(Kind.SAME if mark == row.expected else Kind.ANEW)
    return Found(Kind.CUT, offset - row.next) if offset > row.here else Found(Kind.ANEW)


def shorter(row: Backfill, end: int) -> bool:
    """Whether a log that ends at `end` is shorter than what was read of it."""
    return bool(row.expected) and end <= row.here


def broken(row: Backfill, found: Found) -> Backfill:
    """It cannot go on by itself: what is missing is missing for good."""
    if found.kind is Kind.CUT:
        why = f"retention has removed {max(found.missed, 0)} messages of the log before they were read"
    else:
        why = "the log was deleted and made anew, or restored, before all of it was read"
    return row._replace(phase=Phase.FAILED, holder="", reason=why)


def read_to(row: Backfill, next: int, mark: str, events: int, letters: int) -> Backfill:
    """Everything before `next` is finished; so many events and letters more."""
    if next > row.next:
        row = row._replace(next=next, mark=mark)
    row = row._replace(events=row.events + events, letters=row.letters + letters)
    if row.phase is Phase.READING and row.letters >= MOST_LETTERS:
        why = f"{row.letters} events of history ended as dead letters"
        return row._replace(phase=Phase.PAUSED, holder="", reason=why)
    return row


def cut_over(row: Backfill, marker: int, mark: str, patrol: float) -> Backfill:
    """The marker is folded: from now on the queue is consumed."""
    return row._replace(phase=Phase.LIVE, next=marker + 1, mark=mark, reason="", patrol=patrol)


def accepted(row: Backfill, id: str) -> Backfill:
    """A person accepts what is missing: its reader finds what is there and reads on, with a new marker."""
    return row._replace(phase=Phase.READING, id=id, holder="", start=ANYWHERE, anchor="", mark="", reason="", letters=0)


def begun_again(row: Backfill, first: int, anchor: str) -> Backfill:
    """It reads on from the first message that is there; an `anchor` "" says that there is none."""
    missed = row.missed + max(first - row.next, 0)
    return row._replace(start=first, next=first, anchor=anchor, missed=missed)


def let_on(row: Backfill) -> Backfill:
    """A person lets a paused one go on."""
    return row._replace(phase=Phase.READING, holder="", letters=0, reason="")

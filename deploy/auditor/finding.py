"""What the auditor finds: a kind, a name and a sentence."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    OPEN = "open"
    ZOMBIE = "zombie"
    UNPAID = "unpaid"
    HAMMERED = "hammered"
    LETTER = "letter"
    FORGED = "forged"  # something came of what nobody had signed
    OUTDATED = "outdated"  # a score by something that was not the newest
    VIEW = "view"  # the read side shows something else than the write side and the books


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, with which name, and the sentence that says how."""

    kind: Kind
    name: str
    text: str

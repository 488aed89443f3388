"""What the outside world does when it is asked, decided from what stands in the books. Pure.

One key acts at most once: asked again, it gives its first answer; with other data it is refused. Undoing names the
`original` key: what that key did is given back once, and the key is refused from then on, also when it had done
nothing yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: Cards whose token begins so never pay.
DECLINED_CARD = "declined"
#: Goods whose sku begins so are never there.
SOLD_OUT_SKU = "sold-out"


class Target(StrEnum):
    """The systems of the outside world, each with its own books."""

    CARDS = "cards"
    STOCK = "stock"
    CRM = "crm"
    MAIL = "mail"


class Api(StrEnum):
    """What can be asked, as the path under which it is posted."""

    CHARGES = "cards/charges"
    REFUNDS = "cards/refunds"
    RESERVATIONS = "stock/reservations"
    RELEASES = "stock/releases"
    LEADS = "crm/leads"
    MESSAGES = "mail/messages"

    @property
    def target(self) -> Target:
        """The system it belongs to."""
        return Target(self.partition("/")[0])


class Did(StrEnum):
    """What a request did in the world."""

    CHARGED = "charged"
    DECLINED = "declined"
    REFUNDED = "refunded"
    RESERVED = "reserved"
    REJECTED = "rejected"
    RELEASED = "released"
    ENTERED = "entered"
    SENT = "sent"
    BLOCKED = "blocked"  # an undo of what had not happened: its original key is refused from now on
    REPEATED = "repeated"  # the first answer once more; nothing happened
    NONE = "none"


UNDONE_BY: Mapping[Api, Api] = {Api.CHARGES: Api.REFUNDS, Api.RESERVATIONS: Api.RELEASES}
UNDOES: Mapping[Api, Api] = {undo: act for act, undo in UNDONE_BY.items()}
#: What stands for an act that can be given back, and the word for giving it back.
GIVEN_BACK: Mapping[Did, Did] = {Did.CHARGED: Did.REFUNDED, Did.RESERVED: Did.RELEASED}
#: What an undo did that settles its original key for good.
SETTLED = frozenset({Did.REFUNDED, Did.RELEASED, Did.BLOCKED})
PREFIX: Mapping[Api, str] = {
    Api.CHARGES: "ch",
    Api.REFUNDS: "re",
    Api.RESERVATIONS: "rs",
    Api.RELEASES: "rl",
    Api.LEADS: "ct",
    Api.MESSAGES: "ml",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what is asked, under which key."""

    api: Api
    key: str
    request: Mapping[str, object]
    began: float  # seconds since 1970
    fault: str = ""
    decline: bool = False  # a fault says no on behalf of the system

    @property
    def original(self) -> str:
        """The key whose act is to be given back; "" where nothing is."""
        if self.api not in UNDOES:
            return ""
        return str(self.request.get("original", "")).encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a request."""

    status: int
    did: Did
    answer: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slip:
    """A request on its way into the books."""

    asked: Asked
    verdict: Verdict | None = None  # known before the books are asked: a fault, a mistake of the caller
    late: bool = False  # its answer is given later than it is booked


@dataclass(frozen=True, slots=True)
class Entry:
    """One line in the books: a request and what came of it."""

    id: int
    asked: Asked
    verdict: Verdict
    ended: float | None  # seconds since 1970 when the answer was given; None: not yet


def decide(id: int, asked: Asked, known: Sequence[Entry]) -> Verdict:
    """What line `id` of the books does, from `known`: all earlier lines that share one of its keys, in order."""
    undo = UNDONE_BY.get(asked.api)
    if undo is not None and _given_back(undo, asked.key, known):
        return Verdict(409, Did.NONE, {"error": "this key was given back: it acts no more"})
    for each in known:
        if each.asked.api is asked.api and each.asked.key == asked.key and _final(each.verdict):
            if each.asked.request != asked.request:
                return Verdict(409, Did.NONE, {"error": "this key was used with other data"})
            return Verdict(each.verdict.status, Did.REPEATED, each.verdict.answer)
    name = f"{PREFIX[asked.api]}_{id}"
    match asked.api:
        case Api.CHARGES:
            if asked.decline or str(asked.request["card"]).startswith(DECLINED_CARD):
                return Verdict(402, Did.DECLINED, {"error": "the card was declined"})
            return Verdict(201, Did.CHARGED, {"id": name})
        case Api.RESERVATIONS:
            if asked.decline or str(asked.request["sku"]).startswith(SOLD_OUT_SKU):
                return Verdict(409, Did.REJECTED, {"error": "sold-out"})
            return Verdict(201, Did.RESERVED, {"id": name})
        case Api.REFUNDS | Api.RELEASES:
            return _give_back(name, asked, known)
        case Api.LEADS | Api.MESSAGES:
            if asked.decline:
                return Verdict(422, Did.REJECTED, {"error": "not taken"})
            return Verdict(201, Did.ENTERED if asked.api is Api.LEADS else Did.SENT, {"id": name})


def _give_back(name: str, asked: Asked, known: Sequence[Entry]) -> Verdict:
    if asked.decline:
        return Verdict(422, Did.REJECTED, {"error": "not given back"})
    if _given_back(asked.api, asked.original, known):
        return Verdict(200, Did.NONE, _receipt(asked.api, name, 0))
    for each in known:
        if each.asked.key == asked.original and each.verdict.did in GIVEN_BACK:
            cents = int(str(each.asked.request.get("total_cents", 0)))
            return Verdict(200, GIVEN_BACK[each.verdict.did], _receipt(asked.api, name, cents))
    return Verdict(200, Did.BLOCKED, _receipt(asked.api, name, 0))


def _given_back(undo: Api, original: str, known: Sequence[Entry]) -> bool:
    """Whether an undo has settled the key `original` for good."""
    return any(
        each.asked.api is undo and each.asked.original == original and each.verdict.did in SETTLED for each in known
    )


def _receipt(api: Api, name: str, cents: int) -> Mapping[str, object]:
    return {"id": name, "refunded_cents": cents} if api is Api.REFUNDS else {"id": name}


def _final(verdict: Verdict) -> bool:
    """Whether this verdict is the first answer of its key: something was done or said no to."""
    return verdict.did not in {Did.NONE, Did.REPEATED}

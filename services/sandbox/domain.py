"""What the outside world does when it is asked, decided from what stands in the books. Pure.

One key acts at most once: asked again, it gives its first answer; with other data it is refused. Undoing names the
`original` key: what that key did is given back once, and the key is refused from then on, also when it had done
nothing yet. Money that an authorisation holds is captured once or given back by a void, whichever is asked first; what
was captured is given back by a refund of the capture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: Cards whose token begins so never pay.
DECLINED_CARD = "declined"
#: Goods whose sku begins so are never there.
SOLD_OUT_SKU = "sold-out"
#: Goods whose sku begins so are carried by nobody.
REFUSED_SKU = "too-big"
#: What an authorisation's id begins with; its key follows, so that a capture shares its lines in the books.
AUTHORISATION = "au_"


class Target(StrEnum):
    """The systems of the outside world, each with its own books."""

    CARDS = "cards"
    STOCK = "stock"
    CARRIER = "carrier"
    CRM = "crm"
    MAIL = "mail"


class Api(StrEnum):
    """What can be asked, as the path under which it is posted."""

    AUTHORISATIONS = "cards/authorisations"
    VOIDS = "cards/voids"
    CAPTURES = "cards/captures"
    REFUNDS = "cards/refunds"
    RESERVATIONS = "stock/reservations"
    RELEASES = "stock/releases"
    PARCELS = "carrier/parcels"
    RECALLS = "carrier/recalls"
    LEADS = "crm/leads"
    MESSAGES = "mail/messages"

    @property
    def target(self) -> Target:
        """The system it belongs to."""
        return Target(self.partition("/")[0])


class Did(StrEnum):
    """What a request did in the world."""

    AUTHORISED = "authorised"
    DECLINED = "declined"
    VOIDED = "voided"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    RESERVED = "reserved"
    REJECTED = "rejected"
    RELEASED = "released"
    BOOKED = "booked"
    RECALLED = "recalled"
    ENTERED = "entered"
    SENT = "sent"
    BLOCKED = "blocked"  # an undo of what had not happened: its original key is refused from now on
    REPEATED = "repeated"  # the first answer once more; nothing happened
    NONE = "none"


UNDONE_BY: Mapping[Api, Api] = {
    Api.AUTHORISATIONS: Api.VOIDS,
    Api.CAPTURES: Api.REFUNDS,
    Api.RESERVATIONS: Api.RELEASES,
    Api.PARCELS: Api.RECALLS,
}
UNDOES: Mapping[Api, Api] = {undo: act for act, undo in UNDONE_BY.items()}
#: What stands for an act that can be given back, and the word for giving it back.
GIVEN_BACK: Mapping[Did, Did] = {
    Did.AUTHORISED: Did.VOIDED,
    Did.CAPTURED: Did.REFUNDED,
    Did.RESERVED: Did.RELEASED,
    Did.BOOKED: Did.RECALLED,
}
#: What an undo did that settles its original key for good.
SETTLED = frozenset({*GIVEN_BACK.values(), Did.BLOCKED})
#: The field in which an undo's answer says how much went back.
CENTS: Mapping[Api, str] = {Api.VOIDS: "voided_cents", Api.REFUNDS: "refunded_cents"}
PREFIX: Mapping[Api, str] = {
    Api.VOIDS: "vo_",
    Api.CAPTURES: "ca_",
    Api.REFUNDS: "re_",
    Api.RESERVATIONS: "rs_",
    Api.RELEASES: "rl_",
    Api.PARCELS: "pa_",
    Api.RECALLS: "rc_",
    Api.LEADS: "ct_",
    Api.MESSAGES: "ml_",
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
        """The key whose act is to be given back, or whose authorisation is captured; "" where it is about no other."""
        if self.api in UNDOES:
            named = str(self.request.get("original", ""))
        elif self.api is Api.CAPTURES:
            named = str(self.request.get("authorisation_id", "")).removeprefix(AUTHORISATION)
        else:
            return ""
        return named.encode(errors="replace").decode()


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
        if each.asked.api is asked.api and each.asked.key == asked.key and _final(each.asked, each.verdict):
            if each.asked.request != asked.request:
                return Verdict(409, Did.NONE, {"error": "this key was used with other data"})
            return Verdict(each.verdict.status, Did.REPEATED, each.verdict.answer)
    return _act(id, asked, known)


def _act(id: int, asked: Asked, known: Sequence[Entry]) -> Verdict:  # the first time under this key
    name = AUTHORISATION + asked.key if asked.api is Api.AUTHORISATIONS else f"{PREFIX[asked.api]}{id}"
    match asked.api:
        case Api.AUTHORISATIONS:
            if asked.decline or str(asked.request["card"]).startswith(DECLINED_CARD):
                return Verdict(402, Did.DECLINED, {"error": "the card was declined"})
            return Verdict(201, Did.AUTHORISED, {"id": name})
        case Api.CAPTURES:
            refusal = "declined" if asked.decline else _not_captured(asked, known)
            return Verdict(409, Did.REJECTED, {"error": refusal}) if refusal else _done(Did.CAPTURED, name)
        case Api.RESERVATIONS:
            if asked.decline or str(asked.request["sku"]).startswith(SOLD_OUT_SKU):
                return Verdict(409, Did.REJECTED, {"error": "sold-out"})
            return _done(Did.RESERVED, name)
        case Api.PARCELS:
            if asked.decline or str(asked.request["sku"]).startswith(REFUSED_SKU):
                return Verdict(422, Did.REJECTED, {"error": "refused"})
            return _done(Did.BOOKED, name)
        case Api.LEADS | Api.MESSAGES:
            if asked.decline:
                return Verdict(422, Did.REJECTED, {"error": "not taken"})
            return _done(Did.ENTERED if asked.api is Api.LEADS else Did.SENT, name)
        case Api.VOIDS | Api.REFUNDS | Api.RELEASES | Api.RECALLS:
            return _give_back(name, asked, known)


def _done(did: Did, name: str) -> Verdict:
    return Verdict(201, did, {"id": name})


def _not_captured(asked: Asked, known: Sequence[Entry]) -> str:
    """Why an authorisation cannot be captured; "": it can."""
    if _captured(asked.original, known):
        return "captured"
    if _given_back(Api.VOIDS, asked.original, known):
        return "voided"
    held = any(each.asked.key == asked.original and each.verdict.did is Did.AUTHORISED for each in known)
    return "" if held else "unknown"


def _captured(authorisation: str, known: Sequence[Entry]) -> bool:
    """Whether the money that was held under this key was captured."""
    return any(each.asked.original == authorisation and each.verdict.did is Did.CAPTURED for each in known)


def _give_back(name: str, asked: Asked, known: Sequence[Entry]) -> Verdict:
    if asked.decline:
        return Verdict(422, Did.REJECTED, {"error": "not given back"})
    if _given_back(asked.api, asked.original, known) or (asked.api is Api.VOIDS and _captured(asked.original, known)):
        return Verdict(200, Did.NONE, _receipt(asked.api, name, 0))
    for each in known:
        act = each.asked.api is UNDOES[asked.api] and each.asked.key == asked.original
        if act and each.verdict.did in GIVEN_BACK:
            cents = int(str(each.asked.request.get("total_cents", 0)))
            return Verdict(200, GIVEN_BACK[each.verdict.did], _receipt(asked.api, name, cents))
    return Verdict(200, Did.BLOCKED, _receipt(asked.api, name, 0))


def _given_back(undo: Api, original: str, known: Sequence[Entry]) -> bool:
    """Whether an undo has settled the key `original` for good."""
    return any(
        each.asked.api is undo and each.asked.original == original and each.verdict.did in SETTLED for each in known
    )


def _receipt(api: Api, name: str, cents: int) -> Mapping[str, object]:
    return {"id": name, CENTS[api]: cents} if api in CENTS else {"id": name}


def _final(asked: Asked, verdict: Verdict) -> bool:
    """Whether this verdict is the first answer of its key; who took or gave back nothing today may do so tomorrow."""
    if (asked.api in UNDOES or asked.api in {Api.LEADS, Api.MESSAGES}) and verdict.did is Did.REJECTED:
        return False
    return verdict.did not in {Did.NONE, Did.REPEATED}

"""What the evidence says: counts, and each thing that is lost, doubled, open or a zombie, by name. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from deploy.auditor.breaking import while_open
from deploy.auditor.evidence import Evidence, Row

#: Where an order may end.
FINAL = frozenset({"confirmed", "cancelled"})


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    OPEN = "open"
    ZOMBIE = "zombie"
    UNPAID = "unpaid"
    HAMMERED = "hammered"
    LETTER = "letter"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, with which name, and the sentence that says how."""

    kind: Kind
    name: str
    text: str


def judge(evidence: Evidence) -> tuple[dict[str, int], list[Finding]]:
    """The counts of the report, and every finding."""
    findings = [
        *_lost_orders(evidence),
        *_lost_leads(evidence),
        *_untold(evidence),
        *_other_answers(evidence.posts),
        *_doubled(evidence),
        *_open(evidence.orders),
        *_zombies(evidence),
        *_unpaid(evidence),
        *_hammered(evidence),
        *_letters(evidence.letters),
    ]
    return _count(evidence, findings), findings


def _count(evidence: Evidence, findings: Iterable[Finding]) -> dict[str, int]:
    states = Counter(order["state"] for order in evidence.orders)
    did = Counter((line["api"], line["did"]) for line in (*evidence.cards, *evidence.stock, *evidence.crm))
    wrong = Counter(each.kind for each in findings)
    charged = Counter(_order(line) for line in _did(evidence.cards, "charged"))
    dead = [letter for letter in evidence.letters if letter["state"] != "obsolete"]
    replayed = [letter for letter in dead if letter["replays"]]
    leads = _leads(evidence.posts)
    return {
        "orders": len(evidence.orders),
        "confirmed": states["confirmed"],
        "cancelled": states["cancelled"],
        "open": wrong[Kind.OPEN],
        "charges": did["cards/charges", "charged"],
        "refunds": did["cards/refunds", "refunded"],
        "mails": len(_mails(evidence, "confirmation")),
        "declined": len({_order(line) for line in _did(evidence.cards, "declined")}),
        "out_of_stock": len({_order(line) for line in _did(evidence.stock, "rejected")}),
        "charge_requests_repeated": did["cards/charges", "repeated"],
        "requests_while_open": wrong[Kind.HAMMERED],
        "double_charges": sum(count - 1 for count in charged.values()),
        "doubled": wrong[Kind.DOUBLED],
        "zombies": wrong[Kind.ZOMBIE],
        "lost": wrong[Kind.LOST],
        "dead_letters": len(dead),
        "replayed": len(replayed),
        "handled_after_replay": sum(letter["state"] == "handled" for letter in replayed),
        "leads": len(leads),
        "leads_welcomed": len(leads & {mail["to"] for mail in _mails(evidence, "welcome")}),
        "leads_synced": len(leads & {line["request"]["email"] for line in _did(evidence.crm, "entered")}),
    }


# -- lost ---------------------------------------------------------------------------------------------------------


def _lost_orders(evidence: Evidence) -> Iterator[Finding]:
    known = {order["order_id"]: order["state"] for order in evidence.orders}
    for order_id in dict.fromkeys(post["answer"]["order_id"] for post in _taken(evidence.posts, "order")):
        if order_id not in known:
            yield Finding(Kind.LOST, f"order/{order_id}", "it was taken with a 2xx and GET /orders does not know it")
        elif known[order_id] not in FINAL:
            yield Finding(
                Kind.LOST, f"order/{order_id}", f"it was taken with a 2xx and never ended: it is {known[order_id]}"
            )


def _lost_leads(evidence: Evidence) -> Iterator[Finding]:
    welcomed = {mail["to"] for mail in _mails(evidence, "welcome")}
    synced = {line["request"]["email"] for line in _did(evidence.crm, "entered")}
    for email in sorted(_leads(evidence.posts)):
        missing = [
            text
            for text, there in (("no welcome was mailed", welcomed), ("the CRM never got it", synced))
            if email not in there
        ]
        if missing:
            yield Finding(Kind.LOST, f"lead/{email}", f"it was taken with a 2xx, but {' and '.join(missing)}")


def _untold(evidence: Evidence) -> Iterator[Finding]:
    told = {mail["about"] for mail in _mails(evidence, "confirmation")}
    for order in evidence.orders:
        name = f"order/{order['order_id']}"
        if order["state"] == "confirmed" and name not in told:
            yield Finding(Kind.LOST, name, "it is confirmed and its confirmation was never mailed")


# -- doubled ------------------------------------------------------------------------------------------------------


def _other_answers(posts: Iterable[Row]) -> Iterator[Finding]:
    """The same key again must get the same answer."""
    answers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for post in posts:
        if post.get("status") is not None:
            said = post["answer"].get("order_id") or post["answer"].get("flow") or ""
            answers[post["kind"], post["key"]].add(f"{post['status']} {said}".strip())
    for (kind, key), said in answers.items():
        again = {each for each in said if not each.startswith("503")}
        if len(again) > 1:
            text = f"the same {kind} posted again under one key was answered in {len(again)} ways"
            yield Finding(Kind.DOUBLED, f"{kind} {key}", f"{text}: {', '.join(sorted(again))}")


def _doubled(evidence: Evidence) -> Iterator[Finding]:
    def of_orders(rows: Iterable[Row]) -> Counter[str]:
        return Counter(f"order/{_order(row)}" for row in rows)

    counted = (
        ("charged", of_orders(_did(evidence.cards, "charged"))),
        ("refunded", of_orders(_did(evidence.cards, "refunded"))),
        ("given goods", of_orders(_did(evidence.stock, "reserved"))),
        ("sent a confirmation", Counter(str(mail["about"]) for mail in _mails(evidence, "confirmation"))),
        ("sent an apology", Counter(str(mail["about"]) for mail in _mails(evidence, "apology"))),
        ("sent a welcome", Counter(str(mail["about"]) for mail in _mails(evidence, "welcome"))),
        ("entered at the CRM", Counter(f"lead/{line['request']['email']}" for line in _did(evidence.crm, "entered"))),
    )
    for what, times in counted:
        for name, count in times.items():
            if count > 1:
                yield Finding(Kind.DOUBLED, name, f"it was {what} {count} times")


# -- open, zombie, unpaid, hammered, letters ------------------------------------------------------------------------


def _open(orders: Iterable[Row]) -> Iterator[Finding]:
    for order in orders:
        if order["state"] not in FINAL:
            yield Finding(Kind.OPEN, f"order/{order['order_id']}", f"it is {order['state']} and nothing more comes")


def _zombies(evidence: Evidence) -> Iterator[Finding]:
    state = {order["order_id"]: order["state"] for order in evidence.orders}
    refunded = {_order(line) for line in _did(evidence.cards, "refunded")}
    for order_id in dict.fromkeys(_order(line) for line in _did(evidence.cards, "charged")):
        if order_id not in refunded and state.get(order_id) != "confirmed":
            text = f"its card was charged and never refunded, and the order is {state.get(order_id, 'unknown')}"
            yield Finding(Kind.ZOMBIE, f"order/{order_id}", text)
    released = {_order(line) for line in _did(evidence.stock, "released")}
    for order_id in dict.fromkeys(_order(line) for line in _did(evidence.stock, "reserved")):
        if order_id not in released and state.get(order_id) == "cancelled":
            yield Finding(Kind.ZOMBIE, f"order/{order_id}", "it is cancelled and its goods are still held")


def _unpaid(evidence: Evidence) -> Iterator[Finding]:
    paid = Counter(_order(line) for line in _did(evidence.cards, "charged"))
    paid.subtract(_order(line) for line in _did(evidence.cards, "refunded"))
    for order in evidence.orders:
        if order["state"] == "confirmed" and paid[order["order_id"]] < 1:
            yield Finding(Kind.UNPAID, f"order/{order['order_id']}", "it is confirmed and nothing is charged for it")


def _hammered(evidence: Evidence) -> Iterator[Finding]:
    lines = {line["id"]: line for line in evidence.cards}
    for id in while_open(evidence.cards):
        line = lines[id]
        text = f"{line['api']} for order/{_order(line)} was asked while the breaker had to be open"
        yield Finding(Kind.HAMMERED, f"line {id} of the cards' books", text)


def _letters(letters: Iterable[Row]) -> Iterator[Finding]:
    for letter in letters:
        if letter["state"] not in {"obsolete", "handled"}:
            text = f"{letter['subscription']} gave up ({letter['cause']}) and the letter is {letter['state']}"
            yield Finding(Kind.LETTER, f"letter {letter['id']}", text)
        elif letter["state"] == "handled" and not letter["replays"]:
            text = f"{letter['subscription']} gave up ({letter['cause']}) and nobody replayed it"
            yield Finding(Kind.LETTER, f"letter {letter['id']}", text)


# -- reading rows -------------------------------------------------------------------------------------------------


def _order(line: Row) -> str:
    return str(line["request"].get("order_id", ""))


def _did(lines: Iterable[Row], did: str) -> list[Row]:
    return [line for line in lines if line["did"] == did]


def _mails(evidence: Evidence, kind: str) -> list[Row]:
    return [mail for mail in evidence.mails if mail.get("kind") == kind]


def _taken(posts: Iterable[Row], kind: str) -> list[Row]:
    return [post for post in posts if post["kind"] == kind and 200 <= (post.get("status") or 0) < 300]


def _leads(posts: Iterable[Row]) -> set[str]:
    return {post["email"] for post in _taken(posts, "lead")}

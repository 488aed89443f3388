"""What the evidence says: counts, and each thing that is lost, doubled, open or a zombie, by name. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from deploy.auditor.breaking import GUARDED, while_open
from deploy.auditor.effects import CAPTURE, EFFECTS, GOODS, HOLD, PARCEL, acts, did, given_back, order_of, standing
from deploy.auditor.evidence import Evidence, Row
from deploy.auditor.finding import Finding, Kind
from deploy.auditor.leads import lead_counts, lead_findings
from deploy.auditor.viewed import view_findings

#: States in which an order has ended well: paid, its goods taken, its parcel with the carrier.
WELL = frozenset({"shipped", "delivered"})
#: The state in which nothing of it may stand.
CANCELLED = "cancelled"
#: The shop system's answer where goods cannot be had.
SOLD_OUT = 409
#: What a taken post asks for, and the states in which an order may end that had it: a return cancels a delivered one.
ASKED_FOR = {"cancellation": frozenset({CANCELLED}), "delivery": frozenset({"delivered", CANCELLED})}
#: The reason of an order that its time-out cancelled.
TOO_LATE = "it could not be shipped in time"
#: What the type of an answer says that is given while the first post under a key is still at work.
AT_WORK = "urn:hocket:problem:command-in-progress"
#: States of a letter that nobody has to look at.
EXPLAINED = frozenset({"obsolete", "handled", "discarded"})


def judge(evidence: Evidence) -> tuple[dict[str, int], list[Finding]]:
    """The counts of the report, and every finding."""
    findings = [
        *_lost_orders(evidence),
        *_lost_asks(evidence),
        *lead_findings(evidence),
        *_untold(evidence),
        *_other_answers(evidence.posts),
        *_doubled(evidence),
        *_open(evidence.orders),
        *_zombies(evidence),
        *_incomplete(evidence),
        *_other_amounts(evidence),
        *_hammered(evidence),
        *_letters(evidence.letters),
        *view_findings(evidence),
    ]
    return _count(evidence, findings), findings


def _count(evidence: Evidence, findings: Iterable[Finding]) -> dict[str, int]:
    states = Counter(order["state"] for order in evidence.orders)
    wrong = Counter(each.kind for each in findings)
    repeated = Counter(line["api"] for line in did(evidence.cards, "repeated"))
    dead = [letter for letter in evidence.letters if letter["state"] not in {"obsolete", "discarded"}]
    replayed = [letter for letter in dead if letter["replays"]]
    return {
        "orders": len(evidence.orders),
        "confirmed": sum(states[state] for state in WELL),
        "delivered": states["delivered"],
        "cancelled": states[CANCELLED],
        "open": wrong[Kind.OPEN],
        "authorisations": acts(evidence, HOLD).total(),
        "voids": given_back(evidence, HOLD).total(),
        "captures": acts(evidence, CAPTURE).total(),
        "refunds": given_back(evidence, CAPTURE).total(),
        "reservations": acts(evidence, GOODS).total(),
        "releases": given_back(evidence, GOODS).total(),
        "parcels": acts(evidence, PARCEL).total(),
        "recalls": given_back(evidence, PARCEL).total(),
        "told": len(evidence.orders) - len(list(_untold(evidence))),
        "declined": len({order_of(line) for line in did(evidence.cards, "declined")}),
        "out_of_stock": len({order_of(line) for line in did(evidence.stock, "rejected") if line["status"] == SOLD_OUT}),
        "timed_out": sum(order["reason"] == TOO_LATE for order in evidence.orders),
        "customers_cancelled": len({post["order_id"] for post in _taken(evidence.posts, "cancellation")}),
        "authorisation_requests_repeated": repeated["cards/authorisations"],
        "requests_while_open": wrong[Kind.HAMMERED],
        "double_charges": sum(count - 1 for count in acts(evidence, CAPTURE).values()),
        "doubled": wrong[Kind.DOUBLED],
        "zombies": wrong[Kind.ZOMBIE],
        "lost": wrong[Kind.LOST],
        "unpaid": wrong[Kind.UNPAID],
        "letters_unexplained": wrong[Kind.LETTER],
        "dead_letters": len(dead),
        "replayed": len(replayed),
        "handled_after_replay": sum(letter["state"] == "handled" for letter in replayed),
        **lead_counts(evidence),
        "viewed": len(evidence.viewed),
        "forged": wrong[Kind.FORGED],
        "outdated": wrong[Kind.OUTDATED],
        "viewed_otherwise": wrong[Kind.VIEW],
    }


# -- lost ---------------------------------------------------------------------------------------------------------


def _lost_orders(evidence: Evidence) -> Iterator[Finding]:
    states = _states(evidence)
    for order_id in dict.fromkeys(post["answer"]["order_id"] for post in _taken(evidence.posts, "order")):
        if order_id not in states:
            yield _lost(order_id, "it was taken with a 2xx and GET /orders does not know it")
        elif states[order_id] not in {*WELL, CANCELLED}:
            yield _lost(order_id, f"it was taken with a 2xx and never ended: it is {states[order_id]}")


def _lost_asks(evidence: Evidence) -> Iterator[Finding]:
    """A cancellation or a delivery that was taken shows in the order's state."""
    states = _states(evidence)
    for kind, ends in ASKED_FOR.items():
        for order_id in dict.fromkeys(post["order_id"] for post in _taken(evidence.posts, kind)):
            if states.get(order_id) not in ends:
                yield _lost(order_id, f"its {kind} was taken with a 2xx, and it is {states.get(order_id, 'unknown')}")


def _lost(order_id: str, text: str) -> Finding:
    return Finding(Kind.LOST, f"order/{order_id}", text)


def _untold(evidence: Evidence) -> Iterator[Finding]:
    """An order that ended well has its confirmation; a cancelled one an apology, or what its customer asked for."""
    confirmed = {mail["about"] for mail in _mails(evidence, "confirmation")}
    cancelled = {mail["about"] for mail in (*_mails(evidence, "apology"), *_mails(evidence, "cancellation"))}
    for order in evidence.orders:
        name = f"order/{order['order_id']}"
        if order["state"] in WELL and name not in confirmed:
            yield _lost(order["order_id"], f"it is {order['state']} and its confirmation was never mailed")
        if order["state"] == CANCELLED and name not in cancelled:
            yield _lost(order["order_id"], "it is cancelled and nobody was told by mail")


# -- doubled ------------------------------------------------------------------------------------------------------


def _other_answers(posts: Iterable[Row]) -> Iterator[Finding]:
    """The same key again must get the same answer; that the first is still at work is none yet."""
    answers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for post in posts:
        if post.get("status") is not None and post["answer"].get("type") != AT_WORK:
            said = post["answer"].get("order_id") or post["answer"].get("flow") or ""
            answers[post["kind"], post["key"]].add(f"{post['status']} {said}".strip())
    for (kind, key), said in answers.items():
        again = {each for each in said if not each.startswith("503")}
        if len(again) > 1:
            text = f"the same {kind} posted again under one key was answered in {len(again)} ways"
            yield Finding(Kind.DOUBLED, f"{kind} {key}", f"{text}: {', '.join(sorted(again))}")


def _doubled(evidence: Evidence) -> Iterator[Finding]:
    counted = [
        *((effect.done_words, _named(acts(evidence, effect))) for effect in EFFECTS),
        *((effect.undone_words, _named(given_back(evidence, effect))) for effect in EFFECTS),
        *(
            (words, Counter(str(mail["about"]) for mail in _mails(evidence, kind)))
            for kind, words in (
                ("confirmation", "sent a confirmation"),
                ("apology", "sent an apology"),
                ("cancellation", "told of its cancellation"),
            )
        ),
    ]
    for what, times in counted:
        for name, count in times.items():
            if count > 1:
                yield Finding(Kind.DOUBLED, name, f"it was {what} {count} times")


def _named(times: Counter[str]) -> Counter[str]:
    return Counter({f"order/{order_id}": count for order_id, count in times.items()})


# -- open, zombie, unpaid, hammered, letters ------------------------------------------------------------------------


def _open(orders: Iterable[Row]) -> Iterator[Finding]:
    for order in orders:
        if order["state"] not in {*WELL, CANCELLED}:
            yield Finding(Kind.OPEN, f"order/{order['order_id']}", f"it is {order['state']} and nothing more comes")


def _zombies(evidence: Evidence) -> Iterator[Finding]:
    """What stands of an order that is cancelled, or that the shop does not know."""
    states = _states(evidence)
    for effect, left in standing(evidence).items():
        for order_id, count in left.items():
            if count and states.get(order_id, CANCELLED) == CANCELLED:
                text = f"it is {states.get(order_id, 'unknown')} and {effect.stands}"
                yield Finding(Kind.ZOMBIE, f"order/{order_id}", text)


def _incomplete(evidence: Evidence) -> Iterator[Finding]:
    """An order that ended well is paid, has its goods, and its parcel is with the carrier."""
    stand = standing(evidence)
    for order in evidence.orders:
        if order["state"] in WELL:
            for effect, kind in ((CAPTURE, Kind.UNPAID), (GOODS, Kind.LOST), (PARCEL, Kind.LOST)):
                if not stand[effect][order["order_id"]]:
                    text = f"it is {order['state']} and {effect.missing}"
                    yield Finding(kind, f"order/{order['order_id']}", text)


def _other_amounts(evidence: Evidence) -> Iterator[Finding]:
    """What was captured is what was ordered, what was given back is what was captured."""
    ordered = {order["order_id"]: order["total_cents"] for order in evidence.orders}
    for line in did(evidence.cards, CAPTURE.did):
        cents, due = line["request"]["total_cents"], ordered.get(order_of(line))
        if due is not None and cents != due:
            yield Finding(Kind.UNPAID, f"order/{order_of(line)}", f"{cents} cents were captured in place of {due}")
    captured = {line["key"]: line["request"]["total_cents"] for line in did(evidence.cards, CAPTURE.did)}
    for line in did(evidence.cards, CAPTURE.undone):
        cents, due = line["answer"]["refunded_cents"], captured.get(line["original"])
        if cents != due:
            yield Finding(Kind.ZOMBIE, f"order/{order_of(line)}", f"{cents} cents were refunded in place of {due}")


def _hammered(evidence: Evidence) -> Iterator[Finding]:
    for system in GUARDED:
        books: tuple[Row, ...] = getattr(evidence, system)
        lines = {line["id"]: line for line in books}
        for id in while_open(books):
            about = order_of(lines[id]) or lines[id]["key"]
            text = f"{lines[id]['api']} for {about} was asked while the breaker had to be open"
            yield Finding(Kind.HAMMERED, f"line {id} of the books of {system}", text)


def _letters(letters: Iterable[Row]) -> Iterator[Finding]:
    """A letter is explained when its replay was handled, its flow ended otherwise, or a person discarded it."""
    for letter in letters:
        gave_up = f"{letter['subscription']} gave up ({letter['cause']})"
        if letter["state"] not in EXPLAINED:
            yield Finding(Kind.LETTER, f"letter {letter['id']}", f"{gave_up} and the letter is {letter['state']}")
        elif letter["state"] == "handled" and not letter["replays"]:
            yield Finding(Kind.LETTER, f"letter {letter['id']}", f"{gave_up} and nobody replayed it")


# -- reading rows -------------------------------------------------------------------------------------------------


def _states(evidence: Evidence) -> dict[str, str]:
    return {order["order_id"]: order["state"] for order in evidence.orders}


def _mails(evidence: Evidence, kind: str) -> list[Row]:
    return [mail for mail in evidence.mails if mail.get("kind") == kind]


def _taken(posts: Iterable[Row], kind: str) -> list[Row]:
    return [post for post in posts if post["kind"] == kind and 200 <= (post.get("status") or 0) < 300]

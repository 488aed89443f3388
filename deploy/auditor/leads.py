"""What became of each lead: taken once, so once at the customer system, in the mail and in the history. Pure.

A lead is one delivery of a sender; the same person may come in several. Its score is by the newest of them, and what
was not taken has left no trace.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from deploy.auditor.effects import did
from deploy.auditor.evidence import Evidence, Row
from deploy.auditor.finding import Finding, Kind

#: The kinds of posts that tell of a lead: the plain form, and webhooks.
LEADS = frozenset({"lead", "webhook"})
#: The type of the history's line about a lead.
CAPTURED = "lead.captured"
#: A moment before all others: of a post that names none.
NEVER = datetime.min.replace(tzinfo=UTC)


def lead_findings(evidence: Evidence) -> Iterator[Finding]:
    """Everything that is wrong with leads."""
    yield from _lost(evidence)
    yield from _doubled(evidence)
    yield from _forged(evidence)
    yield from _outdated(evidence)


def lead_counts(evidence: Evidence) -> dict[str, int]:
    """How many there were, and how many arrived where."""
    taken = _taken(evidence.posts)
    webhooks = [post for post in evidence.posts if post["kind"] == "webhook"]
    posted = Counter(post["key"] for post in webhooks if _good(post))
    people = {post["email"] for post in taken.values()}
    return {
        "leads": len(taken),
        **{f"leads_{what}": len(set(taken) & set(seen)) for what, seen in _traces(evidence).items()},
        "people": len(people),
        "people_scored": len(evidence.scores),
        "webhooks": len(posted),
        "webhooks_doubled": sum(count > 1 for count in posted.values()),
        "webhooks_reordered": _reordered(webhooks),
        "webhooks_refused": len({post["key"] for post in webhooks if post.get("status") == 401}),
    }


def _good(post: Row) -> bool:
    return 200 <= (post.get("status") or 0) < 300


def _taken(posts: Iterable[Row]) -> Mapping[str, Row]:
    """The first post of each delivery that was taken, by the delivery's name."""
    found: dict[str, Row] = {}
    for post in posts:
        if post["kind"] in LEADS and _good(post):
            found.setdefault(post["key"], post)
    return found


def _traces(evidence: Evidence) -> Mapping[str, Counter[str]]:
    """How often each delivery is seen where it must be seen once."""
    return {
        "synced": Counter(line["request"].get("delivery", "") for line in did(evidence.crm, "entered")),
        "welcomed": Counter(mail.get("delivery", "") for mail in evidence.mails if mail.get("kind") == "welcome"),
        "viewed": Counter(line["delivery"] for line in evidence.lines if line["type"] == CAPTURED),
    }


def _moment(post: Row) -> datetime:
    """How new a post is by its sender's clock; that of the plain form is as new as any."""
    told = post.get("updated_at")
    return datetime.fromisoformat(told) if told else NEVER


def _reordered(webhooks: Iterable[Row]) -> int:
    """How many came behind a newer one about the same person."""
    newest: dict[str, datetime] = defaultdict(lambda: NEVER)
    late = set[str]()
    for post in webhooks:
        if _good(post):
            if _moment(post) < newest[post["email"]]:
                late.add(post["key"])
            newest[post["email"]] = max(newest[post["email"]], _moment(post))
    return len(late)


#: What is said of a delivery that is missing, and of one that is there more than once.
MISSING = {
    "welcomed": "no welcome was mailed",
    "synced": "the CRM never got it",
    "viewed": "the customer's history does not show it",
}
TWICE = {
    "welcomed": "it was sent a welcome {} times",
    "synced": "it was entered at the CRM {} times",
    "viewed": "it stands in the customer's history {} times",
}


def _lost(evidence: Evidence) -> Iterator[Finding]:
    traces = _traces(evidence)
    for key, post in _taken(evidence.posts).items():
        missing = [text for what, text in MISSING.items() if key not in traces[what]]
        if missing:
            text = f"delivery {key} was taken with a 2xx, but {' and '.join(missing)}"
            yield Finding(Kind.LOST, f"lead/{post['email']}", text)


def _doubled(evidence: Evidence) -> Iterator[Finding]:
    taken = _taken(evidence.posts)
    for what, seen in _traces(evidence).items():
        for key, count in seen.items():
            if count > 1 and key:
                name = f"lead/{taken[key]['email']}" if key in taken else f"delivery {key}"
                yield Finding(Kind.DOUBLED, name, f"delivery {key}: {TWICE[what].format(count)}")


def _forged(evidence: Evidence) -> Iterator[Finding]:
    """What is not signed well is answered 401, and nothing of it is anywhere."""
    traces: dict[str, set[str]] = {what: set(seen) for what, seen in _traces(evidence).items()}
    traces["scored"] = {row["delivery"] for row in evidence.scores}
    seen = set[str]()
    for post in evidence.posts:
        if post["kind"] != "webhook" or post["signed"] == "well" or post["key"] in seen:
            continue
        seen.add(post["key"])
        name = f"delivery {post['key']}"
        if _good(post):
            yield Finding(Kind.FORGED, name, f"it was signed {post['signed']} and taken with {post['status']}")
        if where := [what for what, keys in traces.items() if post["key"] in keys]:
            yield Finding(
                Kind.FORGED, name, f"it was signed {post['signed']} and is {' and '.join(where)} all the same"
            )


def _outdated(evidence: Evidence) -> Iterator[Finding]:
    """The score of a person is by the newest that was taken; of two that are as new, by either."""
    told: dict[str, dict[str, datetime]] = defaultdict(dict)
    for key, post in _taken(evidence.posts).items():
        told[post["email"]][key] = _moment(post)
    scored = {row["delivery"] for row in evidence.scores}
    for email, moments in told.items():
        newest = {key for key, moment in moments.items() if moment == max(moments.values())}
        if not scored & set(moments):
            yield Finding(Kind.LOST, f"lead/{email}", "it was taken with a 2xx and never scored")
        elif not scored & newest:
            yield Finding(Kind.OUTDATED, f"lead/{email}", "its score is not by the newest that its sender told")

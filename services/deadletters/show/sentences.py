"""Sentences about letters and the desk, and a letter's history, from recorded facts (docs/console.md §1). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hocket.console import counted, day_and_clock, duration
from services.deadletters.fold.state import times

Letter = Mapping[str, Any]

#: Points of one story that are drawn; of a longer one the newest.
MAX_POINTS = 12


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a letter's story: what happened, in which tone and shape, when, and a detail."""

    symbol: str
    tone: str
    title: str
    time: str
    under: str = ""


def about_counts(groups: Sequence[Any], counts: Mapping[str, int]) -> str:
    """The first line of the desk: what waits for a person."""
    open_ = [group for group in groups if group.open]
    pending, replaying = counts["pending"], counts["replaying"]
    if not pending and not replaying:
        return "No letter waits for a person" if groups else "No dead letter yet"
    asked = f", {counted(replaying, 'letter')} being replayed" if replaying else ""
    if not pending:
        return f"Nothing waits for a person{asked}"
    verb = "waits" if pending == 1 else "wait"
    zombies = sum(group.zombies for group in open_)
    undone = f", {counted(zombies, 'of them a zombie', 'of them zombies')}" if zombies else ""
    return f"{counted(pending, 'letter')} {verb} for a person in {counted(len(open_), 'group')}{undone}{asked}"


def about_others(others: Sequence[str]) -> str:
    """The first line while another desk takes a part of the letters; "" where there is none."""
    if not others:
        return ""
    names = ", ".join(others[:3])
    return (
        f"Another desk ({names}) takes letters into a database of its own: a part of the letters is not here. "
        "Stop one of the two, or give both the same HOCKET_DATABASE_URL"
    )


def about_desk(groups: Sequence[Any], now: datetime) -> str:
    """The line below: the most frequent cause, what failed again, the oldest."""
    open_ = [group for group in groups if group.open]
    if not open_:
        if not groups:
            return "What a handler gives up is kept here, whole and with its cause, until a person settles it."
        last = max(group.last_at for group in groups)
        return f"Last death {day_and_clock(last, now)}. All letters are handled, obsolete or discarded."
    most = max(open_, key=lambda group: group.open)
    whole = sum(group.open for group in open_)
    parts = []
    if len(open_) > 1:
        parts.append(f"{most.open:,} of {whole:,} are one cause: {most.cause} in {most.subscription}.")
    again = sum(group.again for group in open_)
    if again:
        parts.append(f"{counted(again, 'letter')} failed again after a replay.")
    oldest = min(group.first_at for group in open_)
    age = (now - datetime.fromisoformat(oldest)).total_seconds()
    return " ".join([*parts, f"Oldest open death {day_and_clock(oldest, now)}, {duration(max(age, 0.0))} ago."])


def letter_line(letter: Letter, same: int, now: datetime) -> str:
    """What happened to this letter, in one sentence or two."""
    event = letter["event"]
    what = f"{event['type']} of {event['subject']}" if event else f"A delivery of {letter['bytes']:,} bytes"
    tries = counted(letter["attempt"], "attempt")
    said = f"{what} was given up after {tries} at {day_and_clock(letter['last'], now)}"
    if letter["again"]:
        said += f"; it has failed again {times(letter['again'])}"
    others = f" {counted(same - 1, 'other letter')} {'has' if same == 2 else 'have'} this cause." if same > 1 else ""
    return f"{said}.{others}"


def state_line(letter: Letter, now: datetime) -> str:
    """Where it stands and why, "" where it simply waits for a person."""
    settled = letter["settled"]
    match letter["state"]:
        case "handled":
            how = "a replay" if settled and settled["replay"] else "a later attempt"
            return f"Handled by {how}, attempt {settled['attempt']}, at {day_and_clock(settled['time'], now)}."
        case "obsolete" if settled and settled["outcome"] == "stale":
            return f"Stale since {day_and_clock(settled['time'], now)}: a newer one of its subject was handled before."
        case "obsolete" if settled:
            return f"Obsolete since {day_and_clock(settled['time'], now)}: its flow was undone or had failed."
        case "obsolete":
            return "Obsolete: its on_dead said what follows when it was given up, and that stands."
        case "discarded":
            act = [each for each in letter["acts"] if each["kind"] == "discard"][-1]
            return f"Discarded by {act['who']} at {day_and_clock(act['time'], now)}: {act['reason']}"
        case "replaying":
            return _replaying(letter, now)
        case _:
            return _pending(letter)


def _replaying(letter: Letter, now: datetime) -> str:
    act = [each for each in letter["acts"] if each["kind"] == "replay"][-1]
    if act["failure"]:
        return str(act["failure"])
    told = [each for each in letter["receipts"] if each["replay"] == act["replay"]]
    asked = f"Replay requested by {act['who']} at {day_and_clock(act['time'], now)}"
    if not told:
        return f"{asked}: no receipt has come yet."
    last = told[-1]
    next_ = f", next attempt at {day_and_clock(last['next_at'], now)}" if last["next_at"] else ""
    return f"{asked}: attempt {last['attempt']} ended {last['outcome']}{next_}."


def _pending(letter: Letter) -> str:
    asked = {each["replay"] for each in letter["acts"] if each["replay"]}
    if any(each["outcome"] == "duplicate" and each["replay"] in asked for each in letter["receipts"]):
        return "Its replay was a duplicate: the subscription had it already, and no receipt says that it was handled."
    return ""


def runs(letter: Letter) -> list[Mapping[str, Any]]:
    """Every attempt that an arrival told of, oldest first, each once, with how long it took."""
    found: dict[int, Mapping[str, Any]] = {}
    for arrival in letter["arrivals"]:
        found.update({run["attempt"]: run for run in arrival["history"]})
    return [{**found[number], "took": _took(found[number])} for number in sorted(found)]


def _took(run: Mapping[str, Any]) -> str:
    if not run["began"] or not run["ended"]:
        return "–"
    spent = datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["began"])
    return duration(spent.total_seconds())


def story(letter: Letter) -> list[Point]:
    """What happened around this letter, in order of time, as far as the desk knows."""
    points = [*_said(letter), *_deaths(letter), *_done(letter), *_ended(letter)]
    return sorted(points, key=lambda point: point.time)[-MAX_POINTS:]


def _said(letter: Letter) -> Iterable[Point]:
    event = letter["event"]
    if event and event["time"]:
        yield Point("ring", "quiet", event["type"], event["time"], f"said by {event['source'].lstrip('/')}")


def _deaths(letter: Letter) -> Iterable[Point]:
    for arrival in letter["arrivals"]:
        failed = [run for run in arrival["history"] if run["ended"] and run["ended"] < arrival["time"]]
        if failed:
            number = arrival["attempt"]
            first = failed[0]["attempt"]
            tries = f"attempts {first} to {number}" if number > first else f"attempt {first}"
            yield Point("arrow-turning", "wait", f"{tries} failed", failed[0]["began"], failed[-1]["cause"])
        yield Point("square-cross", "fail", "dead", arrival["time"], f"{letter['subscription']}, {arrival['cause']}")


def _done(letter: Letter) -> Iterable[Point]:
    for act in letter["acts"]:
        if act["kind"] == "discard":
            yield Point("ring-struck", "quiet", "discarded", act["time"], act["who"])
        elif act["failure"]:
            yield Point("ring-cross", "fail", "replay not confirmed", act["time"], act["who"])
        else:
            yield Point("disc-half", "run", "replay", act["time"], act["who"])


def _ended(letter: Letter) -> Iterable[Point]:
    settled = letter["settled"]
    if settled and settled["outcome"] == "handled":
        yield Point("disc-tick", "done", "handled", settled["time"], f"attempt {settled['attempt']}")
    elif settled:
        stale = settled["outcome"] == "stale"
        yield Point("clock", "quiet", "stale" if stale else "obsolete", settled["time"], settled["outcome"])

"""A folded flow as pages show it: rows of facts, masked payloads, what may still come. Pure."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from hocket.console import Masks, duration
from hocket.console.facts import BreakerChange, Receipt
from services.tracer.ask.flows import Line
from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.deliveries import ATTEMPTS, Delivery, Stand
from services.tracer.fold.flow import Flow
from services.tracer.read.facts import Said
from services.tracer.show.drawing import Drawing

#: Words by which the table of facts can be narrowed.
SHOWN = ("all", "events", "attempts", "failed")


class Row(NamedTuple):
    """One fact, as a line of a table."""

    key: str
    time: datetime
    since: float  # seconds since the flow began
    service: str
    what: str
    event: bool
    fact: str
    kind: str
    state: str
    took: float | None
    instance: str
    note: str
    death: str = ""

    @property
    def word(self) -> str:
        """The receipt's own word where the mark's word describes the present."""
        return self.state if self.state in {"retry", "deferred"} else ""

    @property
    def failed(self) -> bool:
        """Whether it is a failure."""
        return self.state in {"retry", "dead"}

    @property
    def attempt(self) -> bool:
        """Whether it is an attempt that ended: no copy, no deferral, no act at the desk."""
        return self.state in ATTEMPTS or self.state == "undone"


def rows_of(flow: Flow, changes: Iterable[BreakerChange] = ()) -> list[Row]:
    """Every fact of a flow, in order of time, and how the breakers of its deliveries changed meanwhile."""
    began = flow.began
    if began is None:
        return []
    names = {each.id: each.type for each in flow.events}
    rows = [_said(each, flow, began) for each in flow.events]
    rows += [_ended(each, receipt, began, names) for each in flow.deliveries for receipt in each.receipts]
    rows += [_changed(each, began) for each in changes]
    return sorted(rows, key=lambda each: (each.time, not each.event, each.key))


def _changed(change: BreakerChange, began: datetime) -> Row:
    notes = [change.reason, f"by {change.by}" if change.by else ""]
    notes.append(f"{change.untold} more changes before it were not told" if change.untold else "")
    return Row(
        f"breaker/{change.service}/{change.name}/{change.version}/{change.time.isoformat()}", change.time,
        (change.time - began).total_seconds(), change.service, change.name, False, "breaker", "breaker", change.state,
        None, "", " · ".join(each for each in notes if each),
    )  # fmt: skip


def _said(said: Said, flow: Flow, began: datetime) -> Row:
    unheard = said.id in flow.unheard
    return Row(
        said.id, said.time, (said.time - began).total_seconds(), said.service, said.type, True, "said", "event",
        "unheard" if unheard else "said", None, "", f"v{said.version}" if said.version != 1 else "",
    )  # fmt: skip


def _ended(delivery: Delivery, receipt: Receipt, began: datetime, names: dict[str, str]) -> Row:
    notes = [
        receipt.error or receipt.cause,
        f"said {', '.join(names.get(each, 'hocket.undo') for each in receipt.said)}" if receipt.said else "",
        f"step {receipt.step}: {receipt.ledger}" if receipt.step and receipt.ledger else "",
        receipt.timer.sentence if receipt.timer is not None else "",
        f"replay {receipt.replay}" if receipt.replay else "",
        f"reached {', '.join(receipt.flows_reached)}" if receipt.flows_reached else "",
        "reached: none" if receipt.reached == "none" else "",
        f"refused by {receipt.failure.type} of flow {receipt.failure.correlationid}" if receipt.failure else "",
        "an earlier run left no end: its process died or was stopped" if receipt.redelivered else "",
        f"by {receipt.by}: {receipt.reason}" if receipt.outcome == "discarded" else "",
    ]
    state = receipt.outcome
    shown = "undone" if state == "handled" and delivery.undo_of else state
    fact = f"attempt {receipt.attempt}" if state in ATTEMPTS else _NO_ATTEMPT.get(state, state)
    handler = delivery.subscription.partition(".")[2] or delivery.subscription
    return Row(
        "/".join(str(each) for each in receipt.key), receipt.over, (receipt.over - began).total_seconds(),
        delivery.service, handler, False, fact, "subscription", shown,
        (receipt.over - receipt.begun).total_seconds(), receipt.instance,
        " · ".join(each for each in notes if each), receipt.death,
    )  # fmt: skip


#: What a receipt is that is no attempt.
_NO_ATTEMPT = {"duplicate": "copy", "discarded": "act"}


def narrowed(rows: Iterable[Row], show: str) -> list[Row]:
    """The rows of one filter chip."""
    match show:
        case "events":
            return [each for each in rows if each.event]
        case "attempts":
            return [each for each in rows if not each.event and each.attempt]
        case "failed":
            return [each for each in rows if each.failed]
        case _:
            return list(rows)


def payload_of(said: Said, masks: Masks) -> dict[str, Any]:
    """An event's data, sensitive values masked."""
    data = json.loads(said.data)
    return masks.mask(said.type, said.version, data if isinstance(data, dict) else {"data": data})


class Coming(NamedTuple):
    """What is still to come by what services declare: an event, and who would hear it."""

    type: str
    hearers: tuple[str, ...]


def still_to_come(flow: Flow, known: Knowledge) -> list[Coming]:
    """Events that open deliveries and armed time-outs, and whoever hears those, may say; nearest first, each once."""
    happened = {each.type for each in flow.events}
    ahead = [*(each.subscription for each in flow.waiting), *(each.subscription for each in flow.armed)]
    found: dict[str, Coming] = {}
    seen = set(ahead)
    while ahead:
        subscription = ahead.pop(0)
        declared = known.subscriptions.get(subscription)
        for name in declared.says if declared else ():
            hearers = tuple(each.subscription for each in known.expected.get(name, ()))
            if name[0] in found or name[0] in happened:
                continue
            found[name[0]] = Coming(name[0], hearers)
            for each in hearers:
                if each not in seen:
                    seen.add(each)
                    ahead.append(each)
    return list(found.values())


class Chosen(NamedTuple):
    """What the side of the lanes shows: one event, and one run of it where a run was chosen."""

    said: Said | None
    delivery: Delivery | None
    payload: dict[str, Any] | None


def chosen_of(flow: Flow, drawing: Drawing, key: str, masks: Masks) -> Chosen | None:
    """The event or run that `?sel=` names; without a name the first that waits or is dead."""
    delivery = next((each.delivery for each in drawing.items if each.delivery and each.key == key), None)
    if not key:
        worst = [each for each in flow.deliveries if each.open or each.stand is Stand.DEAD]
        delivery = worst[0] if worst else None
    wanted = delivery.event_id if delivery else key
    said = next((each for each in flow.events if each.id == wanted), None)
    if said is None and delivery is None:
        return None
    return Chosen(said, delivery, payload_of(said, masks) if said else None)


def took(line: Line, now: datetime) -> str:
    """How long a flow took, or has taken until now."""
    end = now if line.state in {"running", "waiting"} else line.ended
    return duration(max(0.0, (end - line.began).total_seconds()))

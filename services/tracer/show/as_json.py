"""Flows and lines of a list as programs get them, payloads masked. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hocket.clock import rfc3339
from hocket.console.facts import Receipt
from services.tracer.ask.around import Around
from services.tracer.ask.flows import Line
from services.tracer.ask.knowledge import Knowledge
from services.tracer.ask.own import Own
from services.tracer.ask.services import RetiredSeen, ServiceSeen
from services.tracer.fold.flow import Flow
from services.tracer.show.sentences import NOTHING, because, plain, where_is
from services.tracer.show.views import payload_of


def line_json(line: Line) -> dict[str, Any]:
    """A row of the list of flows, for programs."""
    return {
        "id": line.id, "state": line.state, "subject": line.subject, "type": line.type,
        "began": rfc3339(line.began), "ended": rfc3339(line.ended), "waits_for": line.waits or None,
        "since": rfc3339(line.since) if line.since else None, "dead": line.dead, "events": line.events,
    }  # fmt: skip


def flow_json(flow: Flow, known: Knowledge, now: datetime, around: Around = NOTHING) -> dict[str, Any]:
    """A flow with every fact, for programs; payloads masked."""
    began, ended, masks = flow.began, flow.ended, known.masks
    return {
        "id": flow.id,
        "state": flow.state.value,
        "sentence": plain(where_is(flow.subject, flow, now, around)),
        "subject": flow.subject,
        "type": flow.type,
        "attempts": flow.attempts,
        "left_out": flow.left_out,
        "began": rfc3339(began) if began else None,
        "ended": rfc3339(ended) if ended else None,
        "events": [
            {
                "id": each.id, "source": each.source, "type": each.type, "version": each.version,
                "subject": each.subject, "time": rfc3339(each.time), "causationid": each.cause or None,
                "unheard": each.id in flow.unheard, "data": payload_of(each, masks),
            }
            for each in flow.events
        ],
        "deliveries": [
            {
                "subscription": each.subscription, "event": each.event_id, "type": each.event_type,
                "subject": each.subject, "state": each.stand.value, "since": rfc3339(each.since),
                "why": because(each, now, around) or None, "undo_of": each.undo_of or None,
                "attempts": [one.model_dump(mode="json", exclude_defaults=True) for one in each.receipts],
            }
            for each in flow.deliveries
        ],
        "steps": [
            {"step": each.name, "subject": each.subject, "ledger": each.ledger, "time": rfc3339(each.time)}
            for each in flow.steps
        ],
        "failed": flow.failed,
        "zombies": [
            {"step": each.name, "subject": each.subject, "owner": known.owner(each.name.partition(".")[0]) or None}
            for each in flow.zombies
        ],
        "reached": [_failure(each, each.flows_reached) for each in flow.reached],
        "reached_by": [_failure(each, (each.correlationid,)) for each in flow.reached_by],
    }  # fmt: skip


def _failure(receipt: Receipt, flows: Sequence[str]) -> dict[str, Any]:
    """A failure at the undo of a step, with the flows at the other end."""
    return {"event": receipt.event.id, "type": receipt.event.type, "step": receipt.step, "flows": list(flows)}


def own_json(own: Own, services: Iterable[ServiceSeen], retired: Iterable[RetiredSeen] = ()) -> dict[str, Any]:
    """How the tracer itself stands, for programs and alarms: hours held and hours behind of each stream."""
    return {
        "behind_seconds": own.behind,
        "read_at": rfc3339(own.read_at) if own.read_at else None,
        "deaf": own.deaf,
        "silent": [each.name for each in services if each.silent],
        "retired": [{"service": each.name, "gone_since": rfc3339(each.gone), "retired_at": rfc3339(each.time),
                     "by": each.by, "reason": each.reason} for each in retired],
        "streams": {
            each.name: {"holds_hours": round(each.holds, 2), "behind_hours": round(each.behind / 3600, 4),
                        "alarm": each.alarm, "facts_7_days": each.facts}
            for each in own.streams
        },
        "aside": own.aside,
        "to_fold": own.unfolded,
    }  # fmt: skip

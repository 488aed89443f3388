"""Flows and lines of a list as programs get them, payloads masked. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hocket.clock import rfc3339
from hocket.console.facts import Receipt
from services.tracer.ask.around import Around
from services.tracer.ask.breakers import BreakerSeen
from services.tracer.ask.flows import Line
from services.tracer.ask.knowledge import Knowledge
from services.tracer.ask.own import Own
from services.tracer.ask.services import RetiredSeen, ServiceSeen
from services.tracer.fold.flow import Flow
from services.tracer.fold.timeouts import Answer, TimeOut
from services.tracer.show.needs import way_out
from services.tracer.show.sentences import NOTHING, because, plain, where_is
from services.tracer.show.timeout_words import answered_by, stands
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
            {"step": each.name, "subject": each.subject, "owner": known.owner(each.name.partition(".")[0]) or None,
             "way_out": way_out(flow, each)}
            for each in flow.zombies
        ],
        "timeouts": [_timeout(each, known, now) for each in flow.timeouts],
        "reached": [_failure(each, each.flows_reached) for each in flow.reached],
        "reached_by": [_failure(each, (each.correlationid,)) for each in flow.reached_by],
    }  # fmt: skip


def _failure(receipt: Receipt, flows: Sequence[str]) -> dict[str, Any]:
    """A failure at the undo of a step, with the flows at the other end."""
    return {
        "event": receipt.event.id, "type": receipt.event.type, "step": receipt.step, "flows": list(flows),
        "reached": bool(receipt.flows_reached),
    }  # fmt: skip


def _timeout(each: TimeOut, known: Knowledge, now: datetime) -> dict[str, Any]:
    """A time-out: armed when and by what, due when, answered by what; `state` as the pages word it, at this moment."""
    last, met = each.periods[-1] if each.periods else None, each.met_by
    return {
        "subscription": each.subscription, "owner": known.owner(each.service) or None, "scope": each.scope,
        "state": each.word(now), "says": stands(each, now), "periods": len(each.periods),
        "armed": {"type": last.type, "event": last.event_id, "time": rfc3339(last.since)} if last else None,
        "due": rfc3339(last.due) if last else None, "unless": list(answered_by(each, known)),
        "met": _answer(met) if met else None, "fired": rfc3339(each.fired) if each.fired else None,
        "late": [_answer(one) for one in each.late], "moved_to": each.moved_to or None,
    }  # fmt: skip


def _answer(each: Answer) -> dict[str, Any]:
    return {
        "type": each.type, "event": each.event_id, "time": rfc3339(each.at), "flow": each.flow or None,
        "late_seconds": each.late, "as": each.kept or None,
    }  # fmt: skip


def breaker_json(each: BreakerSeen, now: datetime) -> dict[str, Any]:
    """A breaker, for programs."""
    ahead = each.next(now)
    return {
        "service": each.service, "name": each.name, "owner": each.owner or None, "state": each.state,
        "since": rfc3339(each.since) if each.since else None, "reason": each.reason or None, "by": each.by or None,
        "next": rfc3339(ahead) if ahead and each.shut else None,
        "probes": {"width": each.width, "ramp": each.ramp, "out": each.out, "ok": each.ok, "bad": each.bad}
        if each.width else None,
        "waiting": dict(each.waiting) if each.shut else {}, "guards": [name for name, _ in each.waiting],
    }  # fmt: skip


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

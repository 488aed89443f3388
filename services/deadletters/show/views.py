"""Letters as pages and programs get them, sensitive values masked."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import MASKED, Masks, control_marks
from hocket.envelope import OVERDUE_TYPE, UNDO_TYPE, Envelope, Json
from hocket.envelope.attributes import version_of
from hocket.errors import Undecodable
from services.deadletters.ask.letters import masks_of, owners_of
from services.deadletters.ask.replay_plan import Planned
from services.deadletters.fold.state import State, asks_for, sentence
from services.deadletters.keep.letters import facts_of
from services.deadletters.keep.tables import arrivals
from services.deadletters.read.letter import envelope_of

#: Bytes of a body that are shown raw or as hex; the page says that there is more.
MAX_SHOWN_BYTES = 64 * 1024
#: Bytes of a body that are shown as hex.
MAX_HEX_BYTES = 4 * 1024
#: Shortest sensitive value that is looked for in error texts and stacks.
MIN_MASKED_TEXT = 4
#: Most sensitive values of one letter that are looked for.
MAX_SECRETS = 100

#: Arrivals of one letter in one answer (each has up to three stacks), and receipts or acts.
MOST_ARRIVALS = 50
MOST_FACTS = 500


def listed(row: Any, owners: Mapping[str, str], masks: Masks) -> dict[str, Any]:
    """One letter of a list, for programs."""
    about = None
    if row.event_id:
        about = {
            "id": row.event_id,
            "source": row.source,
            "type": row.type,
            "version": row.version,
            "subject": row.subject,
            "correlationid": row.correlation_id,
            "time": row.event_time or None,
        }
    return {
        "id": row.id,
        "no": row.no,
        "state": row.state,
        "says": sentence(State(row.state), row.again),
        "asks": asks_for(State(row.state), row.type).value or None,
        "overdue": row.type == OVERDUE_TYPE,
        "subscription": row.subscription,
        "service": row.service,
        "owner": owners.get(row.service),
        "cause": row.cause,
        "error": row.error if not row.event_id or masks.known(row.type, row.version) else row.normal,
        "group": row.group_id,
        "attempt": row.attempt,
        "again": row.again,
        "spoke": row.spoke,
        "replays": row.replays,
        "first": row.first_at,
        "last": row.last_at,
        "settled": row.settled,
        "event": about,
    }


class Secrets:
    """The sensitive values of one letter, so that they are removed from error texts and stacks too."""

    def __init__(self, envelope: Envelope | None, masks: Masks) -> None:
        self.fields: tuple[str, ...] = ()
        self.data: dict[str, Json] | None = None
        self._values: list[str] = []
        if envelope is not None:
            self.data, hidden = _masked(envelope.type, envelope.version, envelope.data, masks)
            self.fields = tuple(sorted(hidden))
            found = {str(value) for value in hidden.values() if isinstance(value, str | int)}
            self._values = sorted((v for v in found if len(v) >= MIN_MASKED_TEXT), key=len, reverse=True)[:MAX_SECRETS]

    def hide(self, text: str) -> str:
        """The text without the sensitive values."""
        for value in self._values:
            text = text.replace(value, MASKED)
        return text


#: Where the kit's own events contain the event that they are about.
_INSIDE = {UNDO_TYPE: "why", OVERDUE_TYPE: "armed"}


def _masked(
    type_: str, version: int, data: Mapping[str, Json], masks: Masks
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Masked data, and what was hidden by field; the event inside an undo or an alarm is masked by its own type."""
    place = _INSIDE.get(type_, "")
    event = data.get(place)
    if isinstance(event, Mapping):
        name, inner = str(event.get("type", "")), event.get("data")
        if isinstance(inner, Mapping):
            shown, hidden = _masked(name, _version(event, name), inner, masks)
            under = {f"{place}.data.{field}": value for field, value in hidden.items()}
            return {**data, place: {**event, "data": shown}}, under
    shown = masks.mask(type_, version, data)
    return shown, {name: value for name, value in data.items() if shown[name] == MASKED != value}


def _version(why: Mapping[str, Json], name: str) -> int:
    """The version of the failure inside an undo; 0, which no manifest names, where it is invalid."""
    try:
        return version_of(str(why.get("dataschema") or ""), name)[0]
    except Undecodable:
        return 0


def _blocks(arrival: Any) -> dict[str, Any]:
    """The subject that waits behind it, and how many waited when it died (RULES 9.6)."""
    return {name: arrival.headers.get(f"hocket-death-{name}") for name in ("blocks", "waiting")}


async def whole(db: AsyncConnection, found: Planned, earlier: int = 0) -> dict[str, Any]:
    """One letter with what is known of it, for programs and its page.

    Of its arrivals the newest `MOST_ARRIVALS`, without the newest `earlier`; the answer's `earlier` is where the next
    older ones begin, None where there are none. Of receipts and acts the newest `MOST_FACTS`.
    """
    row, owners, masks = found.letter, await owners_of(db), await masks_of(db)
    query = sa.select(arrivals).where(arrivals.c.letter == row.id)
    newest = query.order_by(arrivals.c.attempt.desc(), arrivals.c.time.desc())
    page = list(await db.execute(newest.offset(earlier).limit(MOST_ARRIVALS + 1)))
    came = page[:MOST_ARRIVALS][::-1] or list(await db.execute(newest.limit(1)))
    envelope = envelope_of(row.body, row.content_type, came[-1].headers)
    secrets = Secrets(envelope, masks)
    _, told, done = (await facts_of(db, [row.id]))[row.id]
    return {
        **listed(row, owners, masks) | _blocks(came[-1]),
        "error": secrets.hide(row.error),
        "refusal": found.plan.refusal,
        "settled": row.settled,
        "key": row.idempotency_key,
        "causationid": row.causation_id or None,
        "revision": row.revision,
        "content_type": row.content_type,
        "bytes": len(row.body),
        "data": secrets.data,
        "masked": secrets.fields,
        "raw": raw_of(row.body, envelope, secrets),
        "headers": {name: _header(name, value, secrets) for name, value in came[-1].headers.items()},
        "arrivals": [_arrival(each, secrets) for each in came],
        "earlier": earlier + MOST_ARRIVALS if len(page) > MOST_ARRIVALS else None,
        "receipts": [
            {
                "outcome": each.outcome,
                "attempt": each.attempt,
                "time": each.time,
                "replay": each.replay or None,
                "next_at": each.next_at or None,
                "error": secrets.hide(each.error),
            }
            for each in sorted(told, key=lambda receipt: (receipt.time, receipt.attempt))[-MOST_FACTS:]
        ],
        "acts": [
            {
                "kind": each.kind,
                "time": each.time,
                "who": each.who,
                "reason": each.reason,
                "replay": each.replay or None,
                "attempt": each.attempt or None,
                "sent": each.sent_at or None,
                "failure": each.failure or None,
            }
            for each in done[-MOST_FACTS:]
        ],
    }


def _header(name: str, value: Any, secrets: Secrets) -> Any:
    """History and error have views of their own, where they are masked; a stranger's header may quote its event."""
    if name in {"hocket-death-history", "hocket-death-error"}:
        return "shown below as attempts"
    return secrets.hide(value) if isinstance(value, str) else value


def _arrival(row: Any, secrets: Secrets) -> dict[str, Any]:
    hidden = {"error", "trace"}
    return {
        "death": row.death_id,
        "attempt": row.attempt,
        "time": row.time or row.stored_at,
        "stored": row.stored_at,
        "cause": row.cause,
        "error": secrets.hide(row.error),
        "replay": row.replay or None,
        "spoke": row.spoke,
        "history": [
            {name: secrets.hide(value) if name in hidden else value for name, value in run.items()}
            for run in row.history
        ],
    }


def raw_of(body: bytes, envelope: Envelope | None, secrets: Secrets) -> str | None:
    """The body as text: as it came where nothing in it is masked, else encoded again; None: it is not text."""
    if secrets.fields:
        try:
            outer: dict[str, Any] = json.loads(body)
        except ValueError:
            outer = {}
        inner = secrets.data if "data" not in outer else {**outer, "data": secrets.data}
        inner = {name: value for name, value in (inner or {}).items() if name != "data_base64"}
        return control_marks(json.dumps(inner, ensure_ascii=False, indent=2)[:MAX_SHOWN_BYTES], keep="\n\t")
    try:
        return control_marks(body[:MAX_SHOWN_BYTES].decode(), keep="\n\t")
    except UnicodeDecodeError as error:
        cut = len(body) > MAX_SHOWN_BYTES and error.start > MAX_SHOWN_BYTES - 4
        return control_marks(body[: error.start].decode(), keep="\n\t") if cut else None


def hex_of(body: bytes) -> list[tuple[str, str, str]]:
    """Rows of sixteen bytes: offset, hex, printable signs."""
    rows: list[tuple[str, str, str]] = []
    for at in range(0, min(len(body), MAX_HEX_BYTES), 16):
        part = body[at : at + 16]
        signs = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in part)
        rows.append((f"{at:08x}", part.hex(" "), signs))
    return rows

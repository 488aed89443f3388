"""What is shown of a flow."""

from hocket.console.facts import Manifest
from services.tracer.ask.flows import line_of
from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.expectations import expectations
from services.tracer.fold.flow import fold
from services.tracer.show.lanes import draw
from services.tracer.show.views import chosen_of, narrowed, rows_of, still_to_come, took
from tests.services.tracer.saga_stories import SHOP, authorised, shipped
from tests.services.tracer.sample_facts import START, expected, folded, happy, known, mail_dead, placed, rejected

KNOWN = known()


def test_the_table_has_every_fact() -> None:
    """One row a fact, in order of time; chips narrow it."""
    rows = rows_of(folded(mail_dead(1)))
    assert len(rows) == 4 + 7
    assert [each.time for each in rows] == sorted(each.time for each in rows)
    assert [len(narrowed(rows, show)) for show in ("all", "events", "attempts", "failed", "nonsense")] == [
        11,
        4,
        7,
        4,
        11,
    ]
    assert rows[0].since == 0.0
    assert rows[-1].death
    assert rows_of(fold("f", (), (), expected())) == []


def test_rows_say_what_was_said_and_undone() -> None:
    """A row's note names what an attempt said and where it left its step."""
    rows = rows_of(folded(rejected(1)))
    notes = {each.note for each in rows}
    assert "said payment.charged · step payments.charge: done" in notes
    assert "said hocket.undo · step payments.charge: undoing" in notes
    assert [each.what for each in rows if each.state == "undone"] == ["refund"]


def test_what_may_still_come() -> None:
    """From what services declare: what the open deliveries may say, and what follows from that, each once."""
    coming = still_to_come(folded(placed(1)), KNOWN)
    assert [each.type for each in coming][:2] == ["payment.charged", "payment.declined"]
    assert len(coming) == len({each.type for each in coming})
    assert {each.type: each.hearers for each in coming}["stock.rejected"] == ("orders.cancel", "payments.refund")
    assert still_to_come(folded(happy(1)), KNOWN) == []


def test_an_armed_timeout_may_still_speak() -> None:
    """RULES 5.7: what its handler says is ahead, while it is armed."""
    found = [(Manifest.model_validate(each), START) for each in SHOP]
    declared = Knowledge(found, expectations(found))
    armed = authorised(1).end("shipping.ship", "payment.authorised", "handled", 1.0, 2.0)
    flow = fold(armed.flow, armed.said, armed.told, declared.expected)
    assert [each.type for each in still_to_come(flow, declared)] == ["order.cancelled", "payment.voided"]
    met = shipped(2)
    assert still_to_come(fold(met.flow, met.said, met.told, declared.expected), declared) == []


def test_what_the_side_shows() -> None:
    """Without a choice the first that is dead or waits; a chosen run or event comes with its masked payload."""
    flow = folded(rejected(1, undo="dead"))
    drawing = draw(flow, START, KNOWN.owner)
    masks = KNOWN.masks
    worst = chosen_of(flow, drawing, "", masks)
    assert worst is not None
    assert worst.delivery is not None
    assert (worst.delivery.subscription, worst.payload) == ("payments.refund", None)
    event = chosen_of(flow, drawing, flow.events[0].id, masks)
    assert event is not None
    assert event.delivery is None
    assert event.payload is not None
    assert event.payload["card"] == "••••• masked"
    assert chosen_of(flow, drawing, "nothing", masks) is None
    assert chosen_of(folded(happy(1)), drawing, "", masks) is None


def test_an_open_flow_takes_until_now() -> None:
    """How long: to its last fact when it has ended, to now while it goes on."""
    assert took(line_of(folded(happy(1))), START.replace(hour=20)) == "3.2 s"
    assert took(line_of(folded(placed(1))), START.replace(minute=6)) == "1 min 0 s"

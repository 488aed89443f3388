"""What needs a person, grouped."""

from datetime import UTC, datetime, timedelta

from services.tracer.ask.breakers import BreakerSeen
from services.tracer.show.needs import needing, needs_of
from services.tracer.show.sentences import plain
from tests.services.tracer.sample_facts import START, folded, happy, known, mail_dead, rejected, uuid


def test_needs_are_grouped_by_cause() -> None:
    """Zombies first; those of one step and cause together, dead letters of one subscription and kind too."""
    lost = [folded(rejected(number, undo="dead")) for number in (3, 5)]
    flows = [folded(mail_dead(1)), folded(mail_dead(2)), *lost, folded(happy(4))]
    needs = needs_of(flows, known(), datetime.now(UTC))
    assert [(each.state, each.flows, each.owner) for each in needs] == [
        ("zombie", 2, "team-money"),
        ("open-letter", 2, "team-care"),
    ]
    assert plain(needs[0].sentence) == "payments.charge is not undone: payments.refund gave up: CardsDown"
    assert plain(needs[1].sentence) == "notifications.confirmation gave up: MailDown"


def test_a_zombie_has_a_way_out_and_stands_apart_from_an_open_letter() -> None:
    """RULES 5.8: whose it is and what ends it, with the letter; an undo that is only late ends by itself."""
    zombie, letter = needs_of([folded(mail_dead(1)), folded(rejected(3, undo="dead"))], known(), START)
    assert (zombie.state, zombie.owner, zombie.letter) == ("zombie", "team-money", uuid(3999))
    assert zombie.way_out == "replay the letter of payments.refund; or mend it by hand, then discard the letter"
    assert (letter.state, letter.kind, letter.way_out) == ("open-letter", "flow", "replay the letter, or discard it")
    assert letter.letter == uuid(1998)


def test_breakers_stand_behind_what_needs_a_person() -> None:
    """docs/console.md §1.2: with the owner, who waits, and whether it goes on by itself; closed ones are quiet."""
    until = START + timedelta(seconds=30)
    shut = BreakerSeen(
        "shipping", "carrier-api", "open", START, until, "5 failures in a row, the last by TimeoutError",
        owner="team-post", waiting=(("shipping.ship", 3),),
    )  # fmt: skip
    held = BreakerSeen("crm", "crm-api", "held", START, None, "they migrate", "ada", owner="team-growth")
    needs = needs_of([folded(mail_dead(1))], known(), START, [shut, held, shut._replace(name="x", state="closed")])
    assert [(each.state, each.owner, each.flows) for each in needs] == [
        ("open-letter", "team-care", 1), ("held", "team-growth", 0), ("open", "team-post", 3),
    ]  # fmt: skip
    assert plain(needs[2].sentence) == (
        "shipping waits for carrier-api, which is open since 14:05:00: 5 failures in a row, the last by TimeoutError. "
        "3 flows wait for shipping.ship"
    )
    assert needs[2].way_out == "goes on by itself: next probe at 14:05:30"
    assert needs[1].way_out == "held until a person closes it; hocket breaker close MODULE crm-api --reason …"
    assert needing(needs) == "2, worst first, 1 more goes on by itself"

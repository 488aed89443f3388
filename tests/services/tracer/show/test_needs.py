"""What needs a person, grouped."""

from datetime import UTC, datetime

from services.tracer.show.needs import needs_of
from services.tracer.show.sentences import plain
from tests.services.tracer.sample_facts import folded, happy, known, mail_dead, rejected


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

"""RULES 5.8 in the report of an attempt, from which metrics and logs are made: what a dead letter asks of a person."""

from collections.abc import Sequence

from hocket.outcome import Word
from hocket.telemetry.signals import Ended, Listener
from hocket.testing import play
from tests.hocket.across_bank import BOUGHT, DROPPED, Bank, Bought, Cancelled, bank
from tests.hocket.sample_services import LONG, Rung, World, bells, fail, steps


class Deaths(Listener):
    """What each dead letter asks for, by subscription."""

    def __init__(self) -> None:
        self.asks: dict[str, str] = {}

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Keep it."""
        self.asks |= {each.subscription: each.asks for each in ended if each.word is Word.DEAD}


async def test_each_dead_letter_says_what_it_asks() -> None:
    """RULES 5.8: an undo leaves a zombie, a leaf an open letter, a step whose `on_dead` spoke neither."""
    deaths, world = Deaths(), World(behave=fail)
    services = bank.using(Bank(answers=False)), bells.using(world), steps.using(world)
    async with play(*services, listeners=[deaths]) as stage:
        await stage.hear(Bought(order="1"), correlation_id=BOUGHT)
        await stage.hear(Cancelled(order="1"), correlation_id=DROPPED)
        await stage.hear(Rung(name="a"))
        await stage.advance(LONG)
        assert deaths.asks == {"bank.give_back": "zombie", "bells.ring": "open letter", "steps.toll": ""}

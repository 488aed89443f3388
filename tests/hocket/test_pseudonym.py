"""Pseudonyms in subjects: stable for one key, found under every key, and no way back (RULES 18.2)."""

import re

import pytest

from hocket.errors import ConfigError, DeclarationError, Unsayable
from hocket.event import Event, Sensitive
from hocket.pseudonym import Pseudonyms

OLD, NEW = "the key of last year", "the key of this year"


class Captured(Event, type="lead.captured", subject="lead/{email:pseudonym}"):
    """An event about somebody."""

    email: Sensitive[str]


LEAD = Captured(email="ada@example.com")


def test_it_is_stable_and_short_and_shows_nothing() -> None:
    """RULES 18.2: the same value and key give the same pseudonym; another key or value another."""
    one = LEAD.subject_of(Pseudonyms.of(NEW))
    assert re.fullmatch(r"lead/~[a-z2-7]{26}", one)
    assert LEAD.subject_of(Pseudonyms.of(NEW)) == one
    assert LEAD.subject_of(Pseudonyms.of(OLD)) != one
    assert Captured(email="bob@example.com").subject_of(Pseudonyms.of(NEW)) != one


def test_a_key_is_replaced_without_breaking_a_flow() -> None:
    """RULES 18.2: the newest key makes pseudonyms, every key finds them, and a flow keeps its subject."""
    before = LEAD.subject_of(Pseudonyms.of(OLD))
    both = Pseudonyms.of(f"{NEW}, {OLD}")
    assert LEAD.subject_of(both) == LEAD.subject_of(Pseudonyms.of(NEW)) != before
    assert LEAD.subject_of(both, like=before) == before
    assert LEAD.subject_of(both, like="lead/~somebody-else") == LEAD.subject_of(both)
    assert before.removeprefix("lead/") in both.every("ada@example.com")


def test_without_a_key_nothing_is_said() -> None:
    """The sentence says which variable to set."""
    with pytest.raises(Unsayable, match="set HOCKET_PSEUDONYM_KEY to a secret, the same for every service"):
        LEAD.subject_of()
    assert not Pseudonyms.of(" ")
    with pytest.raises(ValueError, match="a key of fewer than 16 characters"):
        Pseudonyms.of(f"{NEW},short")


def test_a_sensitive_field_in_a_subject_is_refused() -> None:
    """RULES 18.2: at import, with the way out; a nested field makes the whole field sensitive."""
    with pytest.raises(DeclarationError, match=r"shows 'email', which is Sensitive, .*write \{email:pseudonym\}"):

        class Shown(Event, type="lead.shown", subject="lead/{email}"):
            email: Sensitive[str]

    with pytest.raises(DeclarationError, match="without attributes, indexes and formats"):

        class Formatted(Event, type="lead.formatted", subject="lead/{email:>9}"):
            email: Sensitive[str]


async def test_a_service_that_needs_a_key_does_not_start_without() -> None:
    """RULES 18.2: one sentence at the start, before anything else is done."""
    from hocket.assembly import Assembly
    from hocket.config import Config
    from services.ingress import ingress

    assembly = Assembly(Config(broker_url="memory://", pseudonym_key=""))
    with pytest.raises(ConfigError, match=r"service ingress says lead.captured: .* set HOCKET_PSEUDONYM_KEY"):
        await assembly.start(ingress, 0)
    await assembly.close()

"""What a pushed lead looks like."""

import pytest
from pydantic import ValidationError

from services.ingress.domain import NewLead


def test_a_lead_needs_an_address() -> None:
    """The campaign may be missing, the address may not."""
    assert NewLead.model_validate({"email": "ada@example.com"}).campaign == ""
    with pytest.raises(ValidationError):
        NewLead.model_validate({"campaign": "spring"})


@pytest.mark.parametrize(
    "lead",
    [
        {"email": "ada"},
        {"email": "a@b", "campaign": "x\x00"},
        {"email": "a @b"},
        {"email": "a\u200db@example.com"},
        {"email": "a\u202eb@example.com"},
        {"email": "a\u3000b@example.com"},
        {"email": "a" * 245 + "@b.com"},
        {"email": "ä" * 124 + "@b.c"},
    ],
)
def test_a_malformed_lead_is_refused(lead: dict[str, str]) -> None:
    """No address, control characters, spaces and what nobody sees in an address, and one too long to be said."""
    with pytest.raises(ValidationError):
        NewLead.model_validate(lead)

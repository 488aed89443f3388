"""What the customer system takes and answers."""

from services.crm.domain import contact_of, entry_of
from services.crm.events import LeadCaptured


def test_a_lead_becomes_an_entry_and_an_answer_a_contact() -> None:
    """Address and campaign go out, the contact id comes back."""
    assert entry_of(LeadCaptured(email="a@b", campaign="spring")) == {"email": "a@b", "campaign": "spring"}
    assert contact_of({"id": "ct_1"}) == "ct_1"

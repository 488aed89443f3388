"""What the customer system takes and answers."""

from services.crm.domain import contact_of, entry_of
from services.crm.events import LeadCaptured


def test_a_lead_becomes_an_entry_and_an_answer_a_contact() -> None:
    """Address, campaign and the sender's delivery go out, the contact id comes back."""
    lead = LeadCaptured(email="a@b", campaign="spring", delivery="d-1")
    assert entry_of(lead) == {"email": "a@b", "campaign": "spring", "delivery": "d-1"}
    assert contact_of({"id": "ct_1"}) == "ct_1"

"""What the desk shows of a letter's payload."""

from datetime import UTC, datetime

import pytest

from hocket.console.masking import MASKED, Masks
from hocket.envelope import OVERDUE_TYPE, UNDO_TYPE, Envelope, Json
from services.deadletters.show.views import Secrets

MASKS = Masks([{"says": [["till.placed", 1]], "sensitive": {"till.placed/1": ["email"]}}])
INNER: dict[str, Json] = {"type": "till.placed", "data": {"order": 1, "email": "ada@example.com"}}


@pytest.mark.parametrize(("type_", "place"), [(UNDO_TYPE, "why"), (OVERDUE_TYPE, "armed")])
def test_the_event_inside_is_masked_by_its_own_type(type_: str, place: str) -> None:
    """RULES 18.3: that of an undo's failure, and that of what armed a time-out."""
    data: dict[str, Json] = {"n": 1, place: INNER}
    found = Secrets(Envelope("a", "/shop", type_, 1, "order/1", datetime.now(UTC), "flow", "a", data), MASKS)
    assert found.fields == (f"{place}.data.email",)
    assert found.data == {"n": 1, place: {"type": "till.placed", "data": {"order": 1, "email": MASKED}}}
    assert "ada@example.com" not in found.hide("no till for ada@example.com")

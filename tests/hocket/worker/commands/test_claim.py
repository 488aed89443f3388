"""What a request may do by the row of its key."""

import pytest

from hocket.worker.commands.claim import BEGUN, ENDED, FURTHEST_SECONDS, LEASE_SECONDS, Claim, CommandRow, claim_of

NOW = 1_000_000.0
ROW = CommandRow(b"k", BEGUN, "owner", "POST /sales", "flow", b"mine", NOW + 5, 1, 0, "[]", b"", NOW)


@pytest.mark.parametrize(
    ("row", "fingerprint", "claim"),
    [
        (ROW, b"mine", Claim.WAIT),
        (ROW, b"other", Claim.OTHER),
        (ROW._replace(state=ENDED), b"mine", Claim.REPLAY),
        (ROW._replace(state=ENDED), b"other", Claim.OTHER),
        (ROW._replace(until=NOW), b"mine", Claim.TAKE),
        (ROW._replace(until=NOW), b"other", Claim.OTHER),
        (ROW._replace(until=NOW + LEASE_SECONDS), b"mine", Claim.WAIT),
        (ROW._replace(until=NOW + FURTHEST_SECONDS), b"mine", Claim.WAIT),
        (ROW._replace(until=NOW + FURTHEST_SECONDS + 1), b"mine", Claim.TAKE),
    ],
)
def test_the_row_decides(row: CommandRow, fingerprint: bytes, claim: Claim) -> None:
    """RULES 13.2: another request is told first; a lease that no clock could have given holds nobody up."""
    assert claim_of(row, fingerprint, NOW) is claim


def test_nobody_waits_for_a_process_that_is_known_to_be_gone() -> None:
    """RULES 13.2: its lease counts no more; its answer and its request still do."""
    assert claim_of(ROW, b"mine", NOW, dead=True) is Claim.TAKE
    assert claim_of(ROW, b"other", NOW, dead=True) is Claim.OTHER
    assert claim_of(ROW._replace(state=ENDED), b"mine", NOW, dead=True) is Claim.REPLAY

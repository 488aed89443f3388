"""New ids, and keys that are derived so that duplicates are recognized."""

import os
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.envelope import keys as ids
from hocket.envelope.ids import Ids

TEXT = st.text(max_size=40)
FLOW = "0192f0c1-7b1a-7c3e-9d2f-1a2b3c4d5e6f"


class Stopped:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The time that was set."""
        return self.moment

    def monotonic(self) -> float:
        """Not used here."""
        return 0.0


def test_uuid7_is_one_and_grows_with_time() -> None:
    """A new id is a UUIDv7 (RFC 9562) whose text sorts by its millisecond."""
    clock = Stopped()
    mint = Ids(clock, random.Random(7))
    first = mint.uuid7()
    clock.moment += timedelta(milliseconds=1)
    second = mint.uuid7()
    assert first < second
    for text in (first, second):
        assert UUID(text).version == 7
        assert UUID(text).variant == "specified in RFC 4122"
        assert str(UUID(text)) == text
    assert UUID(second).int >> 80 == int(clock.moment.timestamp() * 1000)


def test_the_same_seed_gives_the_same_ids() -> None:
    """Clock and random source are passed in, so a seed repeats a whole run."""
    one, other = (Ids(Stopped(), random.Random(1)) for _ in range(2))
    ones = [one.uuid7() for _ in range(100)]
    assert ones == [other.uuid7() for _ in range(100)]
    assert len(set(ones)) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_other_ids() -> None:
    """What was drawn before the fork is not used by both."""
    mint = Ids(Stopped(), random.SystemRandom())
    mint.uuid7()
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writes, mint.uuid7().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 100).decode() not in {mint.uuid7() for _ in range(100)}
    os.close(reads)
    os.close(writes)


@given(st.tuples(TEXT, TEXT, TEXT), TEXT, TEXT, st.integers(0, 9))
def test_a_derived_key_is_the_hash_of_its_parts(
    cause: tuple[str, str, str], subscription: str, said: str, ordinal: int
) -> None:
    """RULES 2.3: what is cached of it changes nothing."""
    whole = int.from_bytes(ids.digest("said", *cause, subscription, said, str(ordinal)), "big")
    derived = UUID(ids.derived_key(cause, subscription, said, ordinal, FLOW)).int
    assert derived & (2**62 - 1) == whole & (2**62 - 1)
    assert derived >> 64 & 0xFFF == whole >> 64 & 0xFFF


def test_a_missing_correlation_id_is_derived() -> None:
    """RULES 2.1: uuid5 of (source, id), the same for every reader."""
    derived = ids.correlation_of("/orders", "1")
    assert UUID(derived).version == 5
    assert derived == ids.correlation_of("/orders", "1")
    assert len({derived, ids.correlation_of("/orders", "2"), ids.correlation_of("/other", "1")}) == 3


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_digests_differ_with_the_parts(one: list[str], other: list[str]) -> None:
    """Parts are hashed with their lengths: ("ab", "c") differs from ("a", "bc")."""
    assert (ids.digest(*one) == ids.digest(*other)) == (one == other)


@given(st.tuples(TEXT, TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_an_inbox_key_is_exactly_its_four_parts(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    """RULES 2.2: the key depends on subscription, source, type and idempotency key, and on nothing else."""
    assert (ids.inbox_key(*one) == ids.inbox_key(*other)) == (one == other)
    assert len(ids.inbox_key(*one)) == ids.INBOX_KEY_BYTES


def test_inbox_keys_of_one_time_are_neighbours() -> None:
    """RULES 2.3: the key begins with the coarse time of a UUIDv7 or v8 idempotency key, else with zero."""
    early, late = ("0192f0c1-0000-7c3e-9d2f-1a2b3c4d5e6f", "0192f0c5-0000-8c3e-9d2f-1a2b3c4d5e6f")
    keys = [ids.inbox_key("a.b", "/a", "t", key) for key in (early, late)]
    assert keys[0][:4] == bytes.fromhex("0192f0c1")
    assert keys[1][:4] == bytes.fromhex("0192f0c5")
    for other in ("", "order 4711", "0192f0c1-0000-4c3e-9d2f-1a2b3c4d5e6f", "zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz"):
        assert ids.inbox_key("a.b", "/a", "t", other)[:4] == bytes(4)


@given(st.text(min_size=36, max_size=36))
def test_foreign_keys_never_break_an_inbox_key(key: str) -> None:
    """RULES 2.3: an idempotency key may be any text, and always gives the same inbox key."""
    assert ids.inbox_key("a.b", "/a", "t", key) == ids.inbox_key("a.b", "/a", "t", key)


def test_derived_keys_depend_on_the_cause_and_begin_with_the_flows_time() -> None:
    """RULES 2.3: a UUIDv8 of cause, subscription, type and ordinal, after the 48 time bits of the flow."""
    cause = ("/orders", "order.placed", "key")
    key = ids.derived_key(cause, "payments.charge", "payment.charged", 0, FLOW)
    assert UUID(key).version == 8
    assert UUID(key).variant == "specified in RFC 4122"
    assert UUID(key).int >> 80 == UUID(FLOW).int >> 80
    assert key == ids.derived_key(cause, "payments.charge", "payment.charged", 0, FLOW)
    assert UUID(ids.derived_key(cause, "payments.charge", "payment.charged", 0, "no uuid")).int >> 80 == 0
    others = {
        ids.derived_key(("/other", "order.placed", "key"), "payments.charge", "payment.charged", 0, FLOW),
        ids.derived_key(("/orders", "order.other", "key"), "payments.charge", "payment.charged", 0, FLOW),
        ids.derived_key(("/orders", "order.placed", "yek"), "payments.charge", "payment.charged", 0, FLOW),
        ids.derived_key(cause, "payments.other", "payment.charged", 0, FLOW),
        ids.derived_key(cause, "payments.charge", "payment.other", 0, FLOW),
        ids.derived_key(cause, "payments.charge", "payment.charged", 1, FLOW),
    }
    assert len(others | {key}) == 7


def test_keys_for_the_outside_differ_by_subscription_and_name() -> None:
    """RULES 2.4: different subscriptions give different keys, and so does a second call in one attempt."""
    one, other = (ids.inbox_key(name, "/orders", "order.placed", "key") for name in ("payments.charge", "crm.note"))
    keys = {ids.outside_key(one), ids.outside_key(one, "second"), ids.outside_key(other)}
    assert len(keys) == 3
    assert ids.outside_key(one) == ids.outside_key(one)


def test_each_undo_has_a_key_of_its_own() -> None:
    """RULES 5.4: the key depends on run and generation, so two failures or two replicas give one undo."""
    run = ids.run_key(FLOW, "payments.charge", "order/4711")
    assert ids.undo_key(run, 1) == ids.undo_key(run, 1)
    assert ids.undo_key(run, 1) != ids.undo_key(run, 2)
    assert run != ids.run_key(FLOW, "payments.charge", "order/4712")


def test_a_run_begins_with_the_time_of_its_flow() -> None:
    """RULES 5.1: as inbox keys do, so that the rows of one hour stand together; the hash is that of earlier schemas."""
    flow = "019b76da-a800-7000-8000-000000000001"
    run = ids.run_key(flow, "payments.charge", "order/4711")
    digits = ids.digest("run", flow, "payments.charge", "order/4711").hex()
    assert (run[: -ids.HASH_DIGITS], run[-ids.HASH_DIGITS :]) == ("019b76da", digits)
    assert len(run) == ids.RUN_DIGITS
    assert ids.timed_run(flow, digits) == run
    assert ids.run_key("not a UUID", "payments.charge", "x")[:8] == "00000000"


def test_a_letter_without_a_row_has_the_same_identity_each_time() -> None:
    """RULES 8.1: a hash of the delivery, as a UUIDv8."""
    one = ids.death_id("payments.charge", "body")
    assert one == ids.death_id("payments.charge", "body")
    assert one != ids.death_id("payments.charge", "other")
    assert UUID(one).version == 8
    assert UUID(one).variant == "specified in RFC 4122"

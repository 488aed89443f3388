"""The broker's refusals of a topology become sentences that say how to resolve them."""

import pytest

from hocket.broker.rabbitmq.declare import down, sentence

WHERE = "broker:5672"


@pytest.mark.parametrize(
    ("said", "existing", "wanted"),
    [
        ("received the value '5' of type 'long' but current is the value '7' of type 'signedint'", "= 7", "declares 5"),
        ("received none but current is the value 'dead' of type 'longstr'", "= dead", "declares none"),
        ("received 'topic' but current is 'direct'", "= direct", "declares topic"),
    ],
)
def test_mismatch(said: str, existing: str, wanted: str) -> None:
    """Object, argument, both values, how to resolve it."""
    text = sentence(
        f"PRECONDITION_FAILED - inequivalent arg 'x-thing' for queue 'a.b' in vhost '/': {said}", "queue", "a.b", WHERE
    )
    assert all(word in text for word in ("queue a.b", "x-thing", existing, wanted, "start again"))


def test_others() -> None:
    """A missing end of a binding, a missing permission, any other refusal."""
    assert "exchange 'x'" not in sentence("NOT_FOUND - no exchange 'x' in vhost '/'", "binding", "x -> q ('k')", WHERE)
    assert "x does not exist" in sentence("NOT_FOUND - no exchange 'x' in vhost '/'", "binding", "x -> q ('k')", WHERE)
    assert "hocket topology" in sentence("ACCESS_REFUSED - no", "queue", "q", WHERE)
    assert sentence("SOMETHING", "queue", "q", WHERE) == "the broker at broker:5672 does not accept queue q: SOMETHING"


def test_down() -> None:
    """A queue that is down: its name, that it is waited for, what to do if it stays down."""
    text = down(
        "NOT_FOUND - home node 'r@h' of durable queue 'hocket.log' in vhost 'shop' is down or inaccessible", WHERE
    )
    assert all(word in text for word in (WHERE, "queue hocket.log", "waits for it", "home node 'r@h'"))
    assert "fresh virtual host in HOCKET_BROKER_URL" in text

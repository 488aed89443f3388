"""Orders, pure: what an order is, its id, and when its state moves."""

import itertools

import pytest
from pydantic import ValidationError

from services.orders.domain import ALPHABET, ID_LENGTH, NewCancellation, NewOrder, OrderState, before, order_id_of

GOOD: dict[str, object] = {
    "customer": "Ada",
    "email": "ada@example.com",
    "card": "tok_1",
    "sku": "lamp",
    "quantity": 1,
    "total_cents": 999,
}


def test_an_order_id_is_short_readable_and_the_same_for_the_same_key() -> None:
    """A repeated key gives the same id, another key another."""
    ids = [order_id_of(f"key-{number}") for number in range(2000)]
    assert ids == [order_id_of(f"key-{number}") for number in range(2000)]
    assert len(set(ids)) == 2000
    assert all(len(each) == ID_LENGTH and set(each) <= set(ALPHABET) for each in ids)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("customer", ""),
        ("customer", "a\x00b"),
        ("customer", "x" * 201),
        ("email", "nobody"),
        ("email", "a b@example.com"),
        ("email", "a@" + "b" * 300),
        ("card", None),
        ("sku", 7),
        ("quantity", 0),
        ("quantity", 1001),
        ("quantity", "2"),
        ("quantity", True),
        ("total_cents", -1),
        ("total_cents", 1.5),
        ("total_cents", 10**30),
    ],
)
def test_a_malformed_field_is_named(field: str, value: object) -> None:
    """The error names the field that is wrong and no other."""
    with pytest.raises(ValidationError) as caught:
        NewOrder.model_validate({**GOOD, field: value})
    assert [each["loc"] for each in caught.value.errors()] == [(field,)]


def test_an_error_does_not_repeat_the_card() -> None:
    """The text of an error carries no value, since values may be sensitive."""
    with pytest.raises(ValidationError) as caught:
        NewOrder.model_validate({**GOOD, "card": "secret\x00card"})
    assert "secret" not in str(caught.value)


def test_another_order_has_another_fingerprint() -> None:
    """Each field counts for the fingerprint."""
    order = NewOrder.model_validate(GOOD)
    assert order.fingerprint() == NewOrder.model_validate(dict(reversed(GOOD.items()))).fingerprint()
    for field, value in GOOD.items():
        other = value + 1 if isinstance(value, int) else f"{value}x"
        assert NewOrder.model_validate({**GOOD, field: other}).fingerprint() != order.fingerprint()


def test_facts_may_overtake_each_other() -> None:
    """Whatever the order of the facts, a cancelled order ends cancelled, and no fact counts twice."""
    facts = list(OrderState)[1:]
    for order in itertools.permutations([*facts, OrderState.CANCELLED]):
        state, seen = OrderState.PLACED, list[OrderState]()
        for fact in order:
            if state in before(fact):
                state = fact
                seen.append(fact)
        assert state is OrderState.CANCELLED
        assert seen == sorted(seen, key=facts.index)
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize("reason", ["", "x" * 201, "a\nb", None, 7])
def test_a_malformed_reason_is_refused(reason: object) -> None:
    """A reason is a line of text; without one there is a sentence of the shop's own."""
    with pytest.raises(ValidationError):
        NewCancellation.model_validate({"reason": reason})
    assert NewCancellation().reason == "the customer asked"

"""Sensitive values never leave the server."""

from hocket.console import MASKED, Masks

MANIFEST = {
    "says": [["order.placed", 1]],
    "subscriptions": [{"hears": [["lead.captured", 2]], "why": [["stock.rejected", 1]], "scheduled": None}],
    "sensitive": {"order.placed/1": ["email"], "lead.captured/2": ["email", "phone"]},
}


def test_declared_fields_are_masked() -> None:
    """A sensitive field's value is replaced, its name and its neighbours stay."""
    masks = Masks([MANIFEST])
    assert masks.mask("order.placed", 1, {"email": "ada@example.com", "sku": "tea"}) == {"email": MASKED, "sku": "tea"}


def test_manifests_add_up() -> None:
    """What one service holds sensitive is masked whoever else hears it."""
    masks = Masks([MANIFEST, {"sensitive": {"order.placed/1": ["card"]}}])
    assert masks.fields("order.placed", 1) == {"email", "card"}


def test_an_event_without_a_sensitive_field_is_shown() -> None:
    """An event that a manifest names, and that has no sensitive field, is shown whole."""
    assert Masks([MANIFEST]).mask("stock.rejected", 1, {"sku": "tea"}) == {"sku": "tea"}


def test_an_unknown_event_is_masked_whole() -> None:
    """Nobody has said which fields of it are sensitive: all are."""
    masks = Masks([MANIFEST])
    assert not masks.known("order.placed", 2)
    assert masks.mask("order.placed", 2, {"email": "ada@example.com", "more": {"a": 1}}) == {
        "email": MASKED,
        "more": MASKED,
    }

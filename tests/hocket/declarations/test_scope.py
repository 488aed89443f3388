"""The fields of a scope: what would compare equal values as different is refused at import, and both are named."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import AfterValidator

from hocket import Event, Heard, Sensitive
from hocket.declarations.scope import check_scope
from hocket.errors import DeclarationError

METACLASS: Any = type(Event)


def model(name: str, base: Any, annotation: Any, *default: object) -> Any:
    """An event whose field `order_id` has this annotation."""
    inner: dict[str, Any] = {"__annotations__": {"order_id": annotation, "id": str}, "__module__": __name__, "id": "1"}
    if default:
        inner["order_id"] = default[0]
    words = {"type": f"order.{name.lower()}"} | ({"subject": "order/{id}"} if base is Event else {})
    return METACLASS(name, (base,), inner, **words)


def check(step: Any, failure: Any, did: Any = str) -> None:
    """A step whose input, failure and result declare `order_id` like this."""
    heard, why = (each if isinstance(each, tuple) else (each,) for each in (step, failure))
    placed, rejected = model("Placed", Heard, *heard), model("Rejected", Heard, *why)
    check_scope("order_id", (placed,), (rejected,), model("Charged", Event, did), "payments.refund")


@pytest.mark.parametrize(
    ("step", "failure", "did", "sentence"),
    [
        (UUID, str, UUID, r"Placed\.order_id with Rejected\.order_id, which are declared differently: UUID and str"),
        (str, str, UUID, r"Placed\.order_id with Charged\.order_id, which are declared differently: str and UUID"),
        (datetime, datetime, str, r"Placed\.order_id is datetime, which may .*; use str, int, UUID, date"),
        (Decimal, Decimal, str, r"Placed\.order_id is Decimal"),
        (float, int, str, r"Placed\.order_id is float"),
        (str, bool, str, r"Rejected\.order_id is bool"),
        (str | None, str, str, r"Placed\.order_id is str \| None"),
        ((str, ""), str, str, r"Placed\.order_id has a default, .*; make it required"),
        (str, Annotated[str, AfterValidator(str.lower)], str, "declared differently"),
    ],
)
def test_what_may_look_different_is_refused(step: Any, failure: Any, did: Any, sentence: str) -> None:
    """RULES 5.1: a step was charged and never refunded because one id came as UUID and as text in upper case."""
    with pytest.raises(DeclarationError, match=rf"payments\.refund: by='order_id' compares .*{sentence}"):
        check(step, failure, did)


@pytest.mark.parametrize("annotation", [str, int, UUID, Annotated[UUID, "id"]])
def test_one_annotation_in_all_is_allowed(annotation: Any) -> None:
    """RULES 5.1: a result need not have the field; that one of them is sensitive changes nothing."""
    check(annotation, annotation, annotation)
    check(str, Sensitive[str], str)
    check_scope("order_id", (model("Placed", Heard, str),), (model("Rejected", Heard, str),), Plain, "payments.refund")


class Plain(Event, type="order.charged", subject="order"):
    """A result without the field."""

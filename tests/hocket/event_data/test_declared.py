"""What cannot survive JSON is refused when the class of an event is created, by a sentence that names the field."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, Secret, SecretBytes, SecretStr, computed_field

from hocket import Event, Heard
from hocket.errors import DeclarationError

T = TypeVar("T")
METACLASS: Any = type(Event)


class Token(BaseModel):
    """A part with a secret."""

    inner: SecretStr


class Sealed(BaseModel):
    """A part that could not read what it writes."""

    model_config = ConfigDict(extra="forbid")

    cents: int

    @computed_field
    def euros(self) -> float:
        """Written, and refused when it is read."""
        return self.cents / 100


def made(annotation: Any, base: Any = Event, **details: Any) -> Any:
    """An event with one field of this annotation."""
    inner = {"__annotations__": {"id": str, "field": annotation}, "__module__": __name__, "field": Field(**details)}
    words = {"type": "thing.made", "subject": "thing/{id}"} if base is Event else {"type": "thing.made"}
    return METACLASS("Thing", (base,), inner, **words)


@pytest.mark.parametrize(
    ("annotation", "details", "sentence"),
    [
        (SecretStr, {}, r"^Thing\.field: SecretStr, .* show asterisks .*: use Sensitive\[str\]"),
        (SecretBytes | None, {"default": None}, r"Thing\.field: SecretStr, .* show asterisks"),
        (Secret[int], {}, r"Thing\.field: SecretStr, .* show asterisks"),
        (dict[str, list[Token]], {}, r"Thing\.field\.inner: SecretStr, .* show asterisks"),
        (str, {"exclude": True}, r"Thing\.field: exclude=True keeps it out"),
        (
            str,
            {"validation_alias": "fieldName"},
            r"Thing\.field is said as 'field' and read from fieldName; write Field",
        ),
        (str, {"serialization_alias": "fieldName"}, r"Thing\.field is said as 'fieldName' and read from field; write"),
        (str, {"validation_alias": AliasChoices("id", "field")}, r"is said as 'field' and read from id or field"),
        (str, {"alias": "id"}, r"Thing has two fields that are said as 'id'"),
        (Sealed, {}, r'Thing\.field: Sealed has extra="forbid" and a computed field'),
        (str, {"default": None}, r"Thing\.field: its default does not fit its type"),
        (Callable[[], int], {}, r"Thing\.field: this is a callable"),
        (Iterable[int], {}, r"Thing\.field: this is an iterator, .*; write list"),
        (type[int], {}, r"Thing\.field: this is a class"),
    ],
)
def test_what_nobody_could_read_is_refused(annotation: Any, details: dict[str, Any], sentence: str) -> None:
    """Secrets, what is left out, names that differ, what JSON does not have."""
    with pytest.raises(DeclarationError, match=sentence):
        made(annotation, **details)


def test_a_heard_event_may_read_as_its_publisher_writes() -> None:
    """A foreign event is read, never said: any alias will do. A secret is refused there too: no console masks it."""
    assert made(str, Heard, validation_alias=AliasChoices("fieldName", "field_name"))
    assert made(str, Heard, exclude=True)
    with pytest.raises(DeclarationError, match="show asterisks"):
        made(SecretStr, Heard)


def test_an_event_is_one_object_of_one_type() -> None:
    """No type variable; that it is no `RootModel` pydantic sees to."""
    with pytest.raises(DeclarationError, match="cannot be generic; use the generic model in a field of it"):

        class Page(Event, Generic[T], type="thing.made", subject="thing"):
            items: list[T]


def test_fields_by_alias_and_by_name_may_be_said() -> None:
    """One alias for both, by hand or by a generator; also where the name is read too."""
    assert made(str, alias="fieldName")
    assert made(str, validation_alias=AliasChoices("old", "new"), serialization_alias="new")

    class Camel(Event, type="thing.made", subject="thing"):
        model_config = ConfigDict(alias_generator=str.upper, populate_by_name=True)
        id: str

    assert Camel(id="a").id == "a"

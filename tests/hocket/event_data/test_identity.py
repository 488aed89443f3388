"""Fields that identify something: equal values have equal texts."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, StringConstraints, field_validator

from hocket.event import SENSITIVE, Sensitive
from hocket.event_data.identity import is_exact, reads_alike, text_of

OrderId = NewType("OrderId", UUID)


class Card(Enum):
    """Its text is not its value."""

    BLUE = "blue"


class Mixed(Enum):
    """Two values with one text."""

    ONE = 1
    TEXT = "1"


class Flag(Enum):
    """Truths are no numbers."""

    ON = True


Level = IntEnum("Level", {"LOW": 1})
Size = StrEnum("Size", {"SMALL": "s"})


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        int,
        UUID,
        date,
        Card,
        Level,
        Size,
        Literal["a", "b"],
        Literal[1],
        OrderId,
        Annotated[str, "x"],
        Sensitive[str],
    ],
)
def test_what_identifies(annotation: Any) -> None:
    """Types whose equal values look alike."""
    assert is_exact(annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        float,
        Decimal,
        datetime,
        bool,
        bytes,
        BaseModel,
        str | None,
        str | int,
        Mixed,
        Flag,
        Literal["1", 1],
        Any,
        list[str],
    ],
)
def test_what_does_not(annotation: Any) -> None:
    """1 and 1.0, 1.0 and 1.00, one moment in two zones, True and 1; and what may be missing."""
    assert not is_exact(annotation)


def test_the_text_of_an_enum_is_that_of_its_value() -> None:
    """Its class and its members may be renamed."""
    assert [text_of(each) for each in (Card.BLUE, Level(1), Size("s"), 7, UUID(int=5), date(2026, 1, 2))] == [
        "blue", "1", "s", "7", str(UUID(int=5)), "2026-01-02",
    ]  # fmt: skip


def lower(value: str) -> str:
    """A validator of its own."""
    return value.lower()


Lower = Annotated[str, AfterValidator(lower)]


class Lowered(BaseModel):
    """A validator by decorator."""

    id: str

    @field_validator("id")
    @classmethod
    def lowered(cls, value: str) -> str:
        """The same id however it is written."""
        return value.lower()


def model(annotation: Any) -> type[BaseModel]:
    """A model with one field."""
    return type("Model", (BaseModel,), {"__annotations__": {"id": annotation}, "__module__": __name__})


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (str, str, True),
        (str, Sensitive[str], True),
        (Lower, Lower, True),
        (str, UUID, False),
        (str, Lower, False),
        (str, Annotated[str, StringConstraints(to_lower=True)], False),
        (UUID, OrderId, False),
    ],
)
def test_fields_are_read_alike(one: Any, other: Any, alike: bool) -> None:
    """Annotation, constraints and validators; that a field is sensitive changes no value."""
    assert reads_alike(model(one), model(other), "id", SENSITIVE) is alike


def test_a_validator_by_decorator_counts() -> None:
    """A subclass shares it, another model does not."""
    assert not reads_alike(model(str), Lowered, "id", SENSITIVE)
    assert reads_alike(Lowered, type("Same", (Lowered,), {"__module__": __name__}), "id", SENSITIVE)

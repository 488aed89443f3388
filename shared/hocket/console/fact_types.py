"""What every fact of the receipts stream is made of, and the bounds of its parts. Pure."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

#: Longest name, id or word in a fact, in characters; a fact with a longer one is invalid.
MAX_NAME = 1000
#: Most bytes of the names that one fact is indexed by together: PostgreSQL indexes no longer ones.
MAX_KEY_BYTES = 2_000
#: Most bytes of one character in UTF-8.
_CHAR_BYTES = 4
#: Longest free text in a fact, in characters.
MAX_TEXT = 20_000
#: Largest number in a fact: what a database column holds.
MAX_NUMBER = 2**31 - 1
#: Most events that one attempt may have said.
MAX_SAID = 10_000
#: Years that a moment may be in; outside of them conversions between time zones can overflow.
YEARS = range(1970, 9000)


def _within_years(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"the year {moment.year} is not within {YEARS.start} to {YEARS.stop - 1}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within_years)]
Number = Annotated[int, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Name = Annotated[str, Field(max_length=MAX_NAME, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
EventName = tuple[Name, Number]


class Fact(BaseModel):
    """A fact of the receipts stream. Absent and null mean the same; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            return {name: each for name, each in value.items() if each is not None}
        return value


def check_findable(*names: str) -> None:
    """Refuse names that no database could index together. Raises `ValueError`."""
    if sum(map(len, names)) * _CHAR_BYTES > MAX_KEY_BYTES and sum(len(name.encode()) for name in names) > MAX_KEY_BYTES:
        raise ValueError(f"its names have together more than {MAX_KEY_BYTES} bytes")

"""RULES 15.1: stored values sort as the values themselves do."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, Field

from hocket.event_data.sorting import TEXT_BYTES, begins, kind_of, sort_key

Version = NewType("Version", int)
moments = st.datetimes(timezones=st.timezones())
values: list[st.SearchStrategy[Any]] = [
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.text(),
]


def same_order(one: Any, other: Any, as_known: Callable[[Any], Any] = lambda value: value) -> None:
    """The keys compare as the values do."""
    first, second = sort_key(one), sort_key(other)
    assert first is not None
    assert second is not None
    left, right = as_known(one), as_known(other)
    assert (first < second, first == second) == (left < right, left == right)


@pytest.mark.parametrize("kind", values)
@given(data=st.data())
def test_keys_sort_as_their_values(kind: st.SearchStrategy[Any], data: st.DataObject) -> None:
    """RULES 15.1: less, equal or greater, for every pair of one kind; texts as their UTF-8."""
    one, other = data.draw(kind), data.draw(kind)
    if isinstance(one, str):
        same_order(one, other, lambda text: text.encode())
    else:
        same_order(one, other)


@given(moments, moments)
def test_moments_sort_by_the_instant(one: datetime, other: datetime) -> None:
    """RULES 15.1: whatever the zones."""
    same_order(one, other, lambda moment: moment.astimezone(UTC))


def test_values_at_the_ends_of_their_type_sort() -> None:
    """RULES 15.1: the first date is what .NET writes for none, and a zone may carry a moment over either end."""
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    first, last = datetime(1, 1, 1, tzinfo=east), datetime.max.replace(tzinfo=west)
    for less, more in pairwise([first, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), last]):
        same_order(less, more)
    assert begins(first) == -62_135_647_200.0
    assert begins(date.min) == begins(first)
    assert begins(date.max) < begins(last)
    powers = [
        "-9E+999999999999999999",
        "-1E-999999999999999999",
        "0",
        "1E-1999999999999999997",
        "1E+999999999999999999",
    ]
    for low, high in pairwise(map(Decimal, powers)):
        same_order(low, high)
    long = Decimal("0." + "1" * 100_000)
    assert len(sort_key(long) or b"") < 2 * TEXT_BYTES


def test_long_texts_are_compared_by_their_beginning() -> None:
    """RULES 15.1: what is equal so far is taken for equal, so that it runs."""
    same = "v" * TEXT_BYTES
    assert sort_key(same + "a") == sort_key(same + "b") == sort_key(same)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_no_number_has_no_key(value: object) -> None:
    """RULES 15.2: it would be greater than everything."""
    assert sort_key(value) is None


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, "int"), (Version, "int"), (Annotated[int, Field(ge=0)], "int"), (float, "float"),
        (Decimal, "decimal"), (str, "text"), (date, "date"), (AwareDatetime, "moment"),
        (datetime, ""), (bool, ""), (int | None, ""), (Literal["a"], ""), (timedelta, ""), (list[int], ""),
    ],
)  # fmt: skip
def test_kinds(annotation: Any, kind: str) -> None:
    """RULES 15.1: a moment without a zone, and what may be missing, do not sort in one way."""
    assert kind_of(annotation) == kind


def test_the_moment_that_a_value_names() -> None:
    """RULES 15.2: a date begins first in the east; what is no time names none."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert begins(noon) == noon.timestamp()
    assert begins(date(2026, 1, 1)) == datetime(2025, 12, 31, 10, tzinfo=UTC).timestamp()
    assert begins(10**12) == begins("2099") == 0.0

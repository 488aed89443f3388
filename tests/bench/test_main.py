"""How rounds become a report."""

import pytest

from tests.bench.__main__ import chosen, summed
from tests.bench.figures import Figure
from tests.bench.processes import Run


def test_a_value_of_none_stands_in_the_report() -> None:
    """No letters are a result; a cost that nobody looked at is none."""
    runs = {"letters": {"hocket": [Run({"letters": 0.0}, client_us=2.0), Run({"letters": 0.0}, client_us=4.0)]}}
    assert summed(runs) == {"letters": {"hocket": 0.0}, "letters_client_us": {"hocket": 3.0}}


def test_figures_are_chosen_by_how_their_names_begin() -> None:
    """Commas stand between several; a name of none is refused by all that there are."""
    figures = [Figure(("rate_one",), {}), Figure(("rate_two",), {}), Figure(("down",), {})]
    assert [each.names[0] for each in chosen(figures, "rate,do")] == ["rate_one", "rate_two", "down"]
    with pytest.raises(SystemExit, match="rate_one, rate_two, down"):
        chosen(figures, "nothing")

"""Each breakage turns the test red that docs/rules.md names for its rule; without it the same test is green."""

from collections.abc import Mapping

import pytest

from tests.mutations.running import AS_IT_IS, apply, run
from tests.mutations.table import MUTATIONS, Mutation, Stale, chosen
from tests.test_rules import ENTRIES

#: Fewest rules, and sections of docs/rules.md, that are broken here.
FEWEST_RULES, FEWEST_SECTIONS = 10, 8


@pytest.fixture(scope="module")
def results() -> Mapping[str, Mapping[str, str]]:
    """What failed with each rule broken, and with none."""
    return run(MUTATIONS)


def test_the_tests_pass_with_nothing_broken(results: Mapping[str, Mapping[str, str]]) -> None:
    """The same tests in the same kind of process: what fails below fails for the breakage."""
    assert results[AS_IT_IS] == {}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.rule)
def test_a_broken_rule_turns_its_test_red(results: Mapping[str, Mapping[str, str]], mutation: Mutation) -> None:
    """The test that is named for the rule fails, in its own lines and not in its set-up."""
    assert results[mutation.name] == {mutation.test: "call"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.rule)
def test_the_test_is_one_that_the_rule_names(mutation: Mutation) -> None:
    """Each breakage is judged by a test of its own rule in docs/rules.md."""
    [entry] = [each for each in ENTRIES if each.number == mutation.rule]
    assert mutation.test in {"::".join(test) for test in entry.tests}


def test_enough_rules_are_broken() -> None:
    """At least ten rules over all parts of the page, each once."""
    rules = [each.rule for each in MUTATIONS]
    assert len(set(rules)) == len(rules) >= FEWEST_RULES
    assert len({rule.split(".")[0] for rule in rules}) >= FEWEST_SECTIONS


def test_a_breakage_that_does_not_fit_is_told() -> None:
    """Where the product has changed the sentence names the rule, the file and the way out."""
    fits = MUTATIONS[0]
    with pytest.raises(Stale, match=r"rule 1\.1: 'no such line' stands 0 times in shared/hocket/broker/.*; name the"):
        fits._replace(text="no such line").broken()
    with pytest.raises(Stale, match=r"rule 1\.1: shared/hocket/attic\.py is gone; name the file"):
        fits._replace(file="attic.py").broken()
    with pytest.raises(Stale, match=r"rule 1\.1: the breakage of broker/.* changes no function of it"):
        apply(fits._replace(instead=fits.text))


def test_a_rule_that_is_unknown_is_refused() -> None:
    """`python -m tests.mutations 99` would run nothing and look green."""
    with pytest.raises(Stale, match=r"no breakage of 99; there are 1\.1, "):
        chosen(["99"])

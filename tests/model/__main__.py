"""`python -m tests.model [NAME] [--without RULE]`: visits the whole scopes of the models.

Without an option each model is visited whole, and then each of its rules is left out until a bad state shows. Status 0
only where no state of the whole rules is bad and every rule is needed. `--without RULE` tells the shortest path that
the rule prevents.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tests.model import breaker, decisions, delivery, overdue, rules_left_out, saga
from tests.model.explorer import Explored, Model, explore
from tests.model.history import backfill
from tests.model.ordering import ordered
from tests.model.projection import generations
from tests.model.subjects import latest, marks


class RuleSet(NamedTuple):
    """The sentences of a model's rules by name, and its whole scopes without some of them."""

    sentences: Mapping[str, str]
    whole: Callable[[frozenset[str]], Mapping[str, Model[Any]]]


MODELS = {
    "delivery": RuleSet(delivery.RULES, delivery.whole),
    "saga": RuleSet(saga.RULES, saga.whole),
    "overdue": RuleSet(overdue.RULES, overdue.whole),
    "ordered": RuleSet(ordered.RULES, ordered.whole),
    "breaker": RuleSet(breaker.RULES, breaker.whole),
    "latest": RuleSet(latest.RULES, latest.whole),
    "marks": RuleSet(marks.RULES, marks.whole),
    "backfill": RuleSet(backfill.RULES, backfill.whole),
    "projection": RuleSet(generations.RULES, generations.whole),
    "decisions": RuleSet(rules_left_out.RULES, decisions.whole),
}


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def visit(model: RuleSet, *without: str) -> Explored:
    """Visit one scope after the other until a bad state shows; the states of all visited scopes together."""
    states = 0
    for name, scope in model.whole(frozenset(without)).items():
        explored = explore(scope)
        states += explored.states
        if explored.wrong:
            return replace(explored, states=states, wrong=f"{explored.wrong} ({name})")
    return Explored(states)


def judge(name: str, model: RuleSet) -> bool:
    """Visit a model whole and without each of its rules; print one line, and the path to a state that must not be."""
    explored = visit(model)
    if explored.wrong:
        say(f"{name}: {explored.states:,} states, {explored.wrong}\n  {'; '.join(explored.path)}")
        return False
    needless = [rule for rule in model.sentences if not visit(model, rule).wrong]
    found = [rule for rule in model.sentences if rule not in needless]
    line = f"{name}: {explored.states:,} states, none bad; bad without {', '.join(found) or 'nothing'}"
    say(f"{line}; not bad without {', '.join(needless)}" if needless else line)
    return not needless


def tell(name: str, model: RuleSet, rule: str) -> bool:
    """Print what goes wrong without this rule, and on which path."""
    explored = visit(model, rule)
    say(f"{name} without {rule}: {explored.states:,} states, {explored.wrong or 'none bad'}")
    say(f"  {model.sentences[rule]}")
    if explored.wrong:
        say(f"  {'; '.join(explored.path)}")
    return bool(explored.wrong)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, those of the command line by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description="Visit every state of the models.")
    parser.add_argument("name", nargs="?", choices=MODELS, help="the model (all)")
    parser.add_argument("--without", metavar="RULE", help="leave this rule out and tell what goes wrong")
    asked = parser.parse_args(words)
    chosen = {name: model for name, model in MODELS.items() if asked.name in {None, name}}
    if asked.without is None:
        well = [judge(name, model) for name, model in chosen.items()]
    elif having := {name: model for name, model in chosen.items() if asked.without in model.sentences}:
        well = [tell(name, model, asked.without) for name, model in having.items()]
    else:
        known = "; ".join(f"{name}: {', '.join(model.sentences)}" for name, model in chosen.items())
        parser.error(f"no rule {asked.without}: the rules are {known}")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())

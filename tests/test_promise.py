"""docs/promise.md: every rule of delivery has tests, and they are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^\| (\d+\.\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/.]+\.py)::(test_\w+)`")
#: Rules in each section that the promise stands on; of 7 and 8 only those of delivery.
PROMISED = [
    *(f"{section}.{rule}" for section, many in ((1, 7), (2, 7), (3, 5), (4, 7)) for rule in range(1, many + 1)),
    *("7.1", "8.1", "8.4", "10.1", "10.2", "10.3"),
]
LINES = {rule: tests for rule, _, tests in LINE.findall((ROOT / "docs/promise.md").read_text(encoding="utf-8"))}


@cache
def docstrings(path: str) -> dict[str, str]:
    """The docstring of every test in a file; of several with one name all of them."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found[node.name] = f"{found.get(node.name, '')} {ast.get_docstring(node) or ''}"
    return found


def test_no_rule_is_without_a_line() -> None:
    """RULES 1 to 4, 7.1, 8.1, 8.4 and 10, each once and in order."""
    assert list(LINES) == PROMISED


@pytest.mark.parametrize("rule", PROMISED)
def test_each_rule_names_tests_that_prove_it(rule: str) -> None:
    """Each named test exists, and its docstring carries the rule's number."""
    named = TEST.findall(LINES[rule])
    assert named
    assert len(named) == LINES[rule].count("::")
    for path, name in named:
        assert (ROOT / path).is_file(), f"{path} is not there"
        told = docstrings(path).get(name)
        assert told is not None, f"{path} has no {name}"
        assert re.search(rf"RULES (?:\d+\.\d+(?:, | and ))*{re.escape(rule)}(?!\d)", told), (
            f"{name} does not name {rule}"
        )

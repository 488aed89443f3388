"""docs/rules.md: every rule of delivery stands there once, and the tests that it names show it."""

import ast
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/rules.md"
#: How many rules each section has.
SECTIONS = {
    1: 7,
    2: 8,
    3: 6,
    4: 8,
    5: 8,
    6: 11,
    7: 6,
    8: 4,
    9: 11,
    10: 3,
    11: 7,
    12: 10,
    13: 5,
    14: 9,
    15: 4,
    16: 4,
    17: 3,
    18: 3,
}
NUMBERS = [f"{section}.{rule}" for section, many in SECTIONS.items() for rule in range(1, many + 1)]
RULE = re.compile(r"^### (\d+\.\d+) (.+)\n((?:(?!#).*\n)*)", re.MULTILINE)
TEST = re.compile(r"^- `([\w/.]+\.py)::(test_\w+)`$", re.MULTILINE)
#: One or several numbers behind the word: `RULES 5`, `RULES 5.1, 5.2`, `RULES 3.1 and 5.2`, `RULES 5.1 to 5.6`.
CITED = re.compile(r"RULES ((\d+(?:\.\d+)?)(?:(?:, | and | to )\d+(?:\.\d+)?)*)")
NOT_BUILT = "Status: not built yet."
#: Folders whose files cite rules.
CITING = ("shared", "services", "deploy", "tests", "docs")
#: Pages that must not cite the design material that is no part of this project. Joined so as not to find itself.
PAGES = ("docs", "README.md", "CONTRIBUTING.md", "shared", "services", "deploy", "tests")
ELSEWHERE = re.compile("DESI" + r"GN(?:\.md)?'?s? §?\d|CONS" + r"OLE §\d")


@dataclass(frozen=True)
class Entry:
    """One rule of the page."""

    number: str
    title: str
    body: str

    @property
    def built(self) -> bool:
        """Whether there is code for it."""
        return NOT_BUILT not in self.body

    @property
    def tests(self) -> list[tuple[str, str]]:
        """The (path, name) of the tests that it names."""
        return TEST.findall(self.body)


ENTRIES = [Entry(*found) for found in RULE.findall(PAGE.read_text(encoding="utf-8"))]


def numbers_in(text: str) -> set[str]:
    """Every rule and section that the text cites; `5.1 to 5.6` cites the six of them."""
    found: set[str] = set()
    for cited in CITED.finditer(text):
        numbers = re.findall(r"(to )?(\d+(?:\.\d+)?)", cited[1])
        for (to, number), (_, before) in zip(numbers, [("", ""), *numbers], strict=False):
            found.add(number)
            if to and "." in number and "." in before:
                section, last = number.split(".")
                found |= {f"{section}.{rule}" for rule in range(int(before.split(".")[1]), int(last))}
    return found


def texts(*where: str) -> dict[str, str]:
    """The text of every file under version control below these paths."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *where], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    found = {}
    for name in filter(None, listed.split("\0")):
        try:
            found[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return found


@cache
def docstrings(path: str) -> dict[str, str]:
    """The docstring of every test in a file; of several with one name all of them."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found[node.name] = f"{found.get(node.name, '')} {ast.get_docstring(node) or ''}"
    return found


def test_every_rule_stands_once_and_in_order() -> None:
    """All sections with all their rules, no number twice, none missing."""
    assert [each.number for each in ENTRIES] == NUMBERS


@pytest.mark.parametrize("rule", ENTRIES, ids=lambda rule: rule.number)
def test_a_rule_has_a_reason_and_tests(rule: Entry) -> None:
    """A rule that is built names tests, one that is not names none; both say why they exist."""
    assert "\nWhy: " in rule.body
    assert rule.body.count("::") == len(rule.tests) == len(set(rule.tests)), "a test is listed twice or in another form"
    assert bool(rule.tests) is rule.built


@pytest.mark.parametrize("rule", ENTRIES, ids=lambda rule: rule.number)
def test_the_tests_of_a_rule_name_it(rule: Entry) -> None:
    """Each named test exists, and its docstring carries the rule's number."""
    for path, name in rule.tests:
        assert (ROOT / path).is_file(), f"{path} does not exist"
        told = docstrings(path).get(name)
        assert told is not None, f"{path} has no {name}"
        assert rule.number in numbers_in(told), f"{path}::{name} does not name RULES {rule.number}"


def test_every_number_that_is_cited_is_a_rule() -> None:
    """Whoever follows a number from code, tests or pages finds the rule."""
    known = {*NUMBERS, *map(str, SECTIONS)}
    unknown = {path: sorted(numbers) for path, text in texts(*CITING).items() if (numbers := numbers_in(text) - known)}
    assert unknown == {}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("RULES 5.1 to 5.3: …", {"5.1", "5.2", "5.3"}),
        ("RULES 3.1 and 5.2, 7", {"3.1", "5.2", "7"}),
        ("RULES 10: …", {"10"}),
        ("the 3.1 rules", set()),
    ],
)
def test_citations_are_read_in_every_form(text: str, numbers: set[str]) -> None:
    """One number, several, and a range."""
    assert numbers_in(text) == numbers


def test_no_page_cites_what_is_not_in_the_project() -> None:
    """The pages stand alone: what they rely on is in one of them."""
    assert {path: found[0] for path, text in texts(*PAGES).items() if (found := ELSEWHERE.search(text))} == {}

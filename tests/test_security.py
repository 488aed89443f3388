"""docs/security.md: every test that it names stands where it says."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/.]+\.py)::(test_\w+)`")


def test_every_line_names_its_test() -> None:
    """Each row of a table names one, and there is such a test."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| who |")]
    assert rows
    for row in rows:
        named = NAMED.findall(row)
        assert named, row
        for path, name in named:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            known = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert name in known, f"{path}::{name}"


def test_what_is_not_stopped_is_said() -> None:
    """Gaps are named as gaps, the first of them at the top."""
    assert PAGE.count("- *Gap*:") >= 5
    assert "have no authentication" in PAGE

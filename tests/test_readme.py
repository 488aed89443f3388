"""The README's snippets are run as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Seconds that a test of the README may take, start of Python included.
PYTEST_SECONDS = 120
#: `[text](path#heading)`, without addresses of other hosts.
LINK = re.compile(r"\]\((?!\w+://)([^)#]*)(?:#([^)]+))?\)")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_subscriber_of_the_readme_passes_the_test_of_the_readme(tmp_path: Path) -> None:
    """A reader who copies both snippets into an empty folder and runs the command sees a passing test."""
    for name, text in zip(("loyalty.py", "test_loyalty.py"), blocks("python"), strict=True):
        (tmp_path / name).write_text(text)
    [command] = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("pytest ")]
    words = [sys.executable, "-m", *shlex.split(command)]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PYTEST_SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_the_subscriber_fits_in_twenty_lines() -> None:
    """The README promises a subscriber of one's own in 20 lines."""
    assert len(blocks("python")[0].strip().splitlines()) <= 20


def test_every_make_target_of_the_readme_stands_in_the_makefile() -> None:
    """No command of the README leads nowhere."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z]+)\b", README)) <= set(targets)


def test_every_file_that_readme_and_walk_name_is_there() -> None:
    """A path that the documentation names exists."""
    named = re.findall(r"\]\((docs/[\w./]+)\)|`(services/\w+)`", README)
    missing = [path for pair in named for path in pair if path and not (ROOT / path).exists()]
    walk = (ROOT / "docs/walk.md").read_text()
    for path in re.findall(r"`([\w/]+\.py)`", walk):
        below = ROOT if path.startswith("services/") else ROOT / "shared/hocket"
        if not (below / path).exists():
            missing.append(path)
    assert missing == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and most renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """A link names a file that exists and, behind `#`, one of its headings."""
    for path, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {path} does not exist"
        assert not heading or heading in anchors(target), f"{page.name}: {path} has no heading #{heading}"

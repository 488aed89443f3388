"""The README's snippets are run as they stand."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: `[text](path#heading)`, without addresses of other hosts.
LINK = re.compile(r"\]\((?!\w+://)([^)#]*)(?:#([^)]+))?\)")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def shipping(tmp_path: Path) -> ModuleType:
    """The subscriber of the README and its test, as one module."""
    path = tmp_path / "shipping_of_the_readme.py"
    path.write_text("\n".join(blocks("python")))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


async def test_the_subscriber_of_the_readme_passes_the_test_of_the_readme(shipping: ModuleType) -> None:
    """A reader who copies both snippets sees a passing test."""
    await shipping.test_a_paid_order_is_packed_once()


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

"""docs/checks.md names every finding, its sample is valid, and the shop has no finding."""

import re
import subprocess
import sys
from pathlib import Path

from hocket.declarations import allowances

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
#: Seconds that a run of the program may take.
CHECK_SECONDS = 120
#: The services of the shop, by folder.
SHOP = sorted(f"services.{each.parent.name}" for each in (ROOT / "services").glob("*/__init__.py"))


def check(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    return subprocess.run(
        [sys.executable, "-m", "hocket", "check", *words],
        cwd=folder, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False,
    )  # fmt: skip


def test_the_table_names_every_code() -> None:
    """Each once."""
    told = re.findall(r"^\| `([a-z-]+)` \| [^0-9]", GUIDE, re.MULTILINE)
    findings = [each for each in told if "-" in each]
    codes = {*allowances.OF_HANDLER, *allowances.OF_UNDO, *allowances.OF_OVERDUE, *allowances.OF_ON_DEAD}
    assert sorted(findings) == sorted(codes)


def test_the_sample_is_allowed(tmp_path: Path) -> None:
    """As it stands there: status 0, and its reason in the list; without it, status 1."""
    found = re.search(r"```python\n# mails\.py\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    (tmp_path / "mails.py").write_text(found[1], encoding="utf-8")
    ended = check(tmp_path, "mails")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "allowed: step-without-undo" in ended.stdout
    (tmp_path / "mails.py").write_text(re.sub(r", allow=\{.*?\}", "", found[1]), encoding="utf-8")
    assert check(tmp_path, "mails").returncode == 1


def test_the_shop_has_no_finding() -> None:
    """All its services together; what is allowed has its reason."""
    ended = check(ROOT, *SHOP)
    assert ended.returncode == 0, ended.stdout + ended.stderr

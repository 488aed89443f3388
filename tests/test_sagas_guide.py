"""The service and the tests of docs/sagas.md are run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs/sagas.md"
BLOCK = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)
#: Seconds that the guide's tests may take, start of Python included.
PYTEST_SECONDS = 120


def files(folder: Path) -> list[str]:
    """Write the guide's files into a folder; their names."""
    found = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    for name, code in found:
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    return [name for name, _ in found]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in this folder."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=PYTEST_SECONDS, check=False
    )


def test_the_tests_of_the_guide_pass(tmp_path: Path) -> None:
    """RULES 5.1, 5.3, 5.4, 5.8: who copies the two files into an empty folder sees them pass."""
    assert files(tmp_path) == ["tickets", "test_tickets"]
    ended = run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 passed" in ended.stdout


def test_the_service_of_the_guide_is_valid(tmp_path: Path) -> None:
    """`hocket check` has nothing to find in it."""
    files(tmp_path)
    ended = run(tmp_path, "hocket", "check", "tickets")
    assert ended.returncode == 0, ended.stderr
    assert "Way out" not in ended.stdout

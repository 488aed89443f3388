"""The samples of docs/commands.md are run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
#: Seconds that the test of the guide may take, start of Python included.
SECONDS = 120


def test_the_samples_of_the_guide_pass(tmp_path: Path) -> None:
    """RULES 13.1, 13.3, 13.4: a reader who copies both samples into an empty folder sees a passing test."""
    samples = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL)
    assert len(samples) == GUIDE.count("```python"), "each sample names its file"
    for name, text in samples:
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout

"""The samples of docs/drift.md are run as they stand, and its bounds are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

from hocket.drift.compare import MAX_DEPTH, MAX_VALUES
from hocket.drift.counting import EVERY, MAX_PATHS, MAX_SHAPES, MAX_SIBLINGS, MAX_STREAMS
from hocket.drift.kinds import MODES, Kind

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/drift.md").read_text(encoding="utf-8")
#: Seconds that the test of the guide may take, start of Python included.
SECONDS = 120


def test_the_samples_of_the_guide_pass(tmp_path: Path) -> None:
    """RULES 16.4: a reader who copies both samples into an empty folder sees a passing test."""
    samples = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL)
    assert len(samples) == GUIDE.count("```python"), "each sample names its file"
    for name, text in samples:
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_the_tables_are_the_code() -> None:
    """Every kind, every word of `drift=`, every bound."""
    assert set(re.findall(r"^\| `([a-z]+)` \|", GUIDE, re.MULTILINE)) == {each.value for each in Kind}
    assert set(re.findall(r'^- `drift="([a-z]+)"`', GUIDE, re.MULTILINE)) == set(MODES)
    bounds = [int(each.replace(",", "")) for each in re.findall(r"^\| [a-z][^|]*\| ([\d,]+)", GUIDE, re.MULTILINE)]
    assert bounds == [MAX_SHAPES, MAX_PATHS, MAX_SIBLINGS, MAX_STREAMS, MAX_VALUES]
    assert f"to a depth of {MAX_DEPTH}" in GUIDE
    assert f"one event in {EVERY}" in GUIDE

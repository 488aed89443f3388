"""`python -m deploy.broker` and `python -m deploy.database`: a question starts nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds that the answer may take; a server would run until a signal.
SECONDS = 60


@pytest.mark.parametrize("module", ["deploy.broker", "deploy.database"])
@pytest.mark.parametrize(("word", "status", "said"), [("--help", 0, "at Ctrl-C"), ("--port", 2, "unrecognized")])
def test_a_question_starts_no_server(module: str, word: str, status: int, said: str, tmp_path: Path) -> None:
    """Its help says what it is; an argument that there is not is refused. No folder is left behind."""
    ended = subprocess.run(
        [sys.executable, "-m", module, word], cwd=ROOT, env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == status
    assert said in ended.stdout + ended.stderr
    assert f"python -m {module}" in ended.stdout + ended.stderr
    assert list(tmp_path.iterdir()) == []

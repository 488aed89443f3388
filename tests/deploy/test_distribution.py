"""What another team installs: the wheel holds everything of the kit and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*")


def test_the_wheel_holds_the_whole_kit(tmp_path: Path) -> None:
    """Built offline by what the lock brings, the wheel holds every file of shared/hocket, templates and styles too."""
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=CACHES)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    made = [*build, "--wheel-dir", str(tmp_path), str(tmp_path / "shared")]
    ended = subprocess.run(made, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (wheel,) = tmp_path.glob("hocket-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kit = tmp_path / "shared" / "hocket"
    assert held == {path.relative_to(kit.parent).as_posix() for path in kit.rglob("*") if path.is_file()}
    metadata = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA"))
    assert "License-Expression: Apache-2.0" in zipfile.ZipFile(wheel).read(metadata).decode()

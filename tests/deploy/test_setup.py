"""The set-up of a machine: what is there is used, root installs quietly, others are told the way out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.setup import NEEDS, Need, Purpose, missing, way_out
from deploy.setup.apt import AptFailed, install, no_service_starts
from deploy.setup.node import NpmFailed, bring, is_current

ROOT = Path(__file__).parent.parent.parent


def program(folder: Path, name: str, text: str) -> Path:
    """An executable shell script in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def make(*words: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run make in the root with a search path of one's own."""
    found = shutil.which("make")
    assert found, "make is not installed"
    environment = {"PATH": path, "HOME": os.environ.get("HOME", "/")}
    return subprocess.run([found, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_what_is_there_is_used() -> None:
    """Nothing is missing where every program is found; only what is not found is missing, in the table's order."""
    assert missing(Purpose.TEST, lambda _: Path("/bin/true")) == []
    lacking = missing(Purpose.TEST, lambda name: None if name.startswith("chrom") else Path("/bin/true"))
    assert [need.package for need in lacking] == ["chromium", "chromium-driver"]


def test_a_demo_needs_no_browser_of_its_own() -> None:
    """The demo brings RabbitMQ only."""
    assert [need.program for need in NEEDS[Purpose.DEMO]] == ["rabbitmq-server"]


def test_the_way_out_is_one_sentence() -> None:
    """What cannot be brought is named once, with what is lost and the command that mends it."""
    said = way_out([Need("a", "package-a", "pages"), Need("b", "package-b", "pages")])
    expected = (
        "Missing: a, b; without it there is not: pages. "
        "As root: apt-get install --no-install-recommends package-a package-b"
    )
    assert said == expected


def test_no_service_starts_and_the_policy_is_put_back(tmp_path: Path) -> None:
    """While packages are installed every start is forbidden; afterwards the earlier policy, or none, is there."""
    policy = tmp_path / "policy-rc.d"
    with no_service_starts(policy):
        assert subprocess.run([str(policy), "rabbitmq-server", "start"], check=False).returncode == 101
    assert not policy.exists()
    program(tmp_path, "policy-rc.d", "exit 7")
    before = policy.read_bytes()
    with pytest.raises(KeyError), no_service_starts(policy):
        raise KeyError
    assert policy.read_bytes() == before
    assert subprocess.run([str(policy)], check=False).returncode == 7


def test_apt_is_called_without_recommends_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`install` updates, installs without recommends, under the policy, and what apt-get says goes to the log."""
    program(tmp_path / "bin", "apt-get", f'echo "called $* $DEBIAN_FRONTEND"; {tmp_path}/policy-rc.d; echo "policy $?"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    install(["a", "b"], tmp_path / "logs" / "apt.log", tmp_path / "policy-rc.d")
    lines = (tmp_path / "logs" / "apt.log").read_text(encoding="utf-8").splitlines()
    called = [line for line in lines if line.startswith("called")]
    assert called[0].endswith("update noninteractive")
    assert called[1].endswith("install --yes --no-install-recommends a b noninteractive")
    assert lines.count("policy 101") == 2


def test_a_failing_apt_is_one_sentence_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When apt-get fails the error names the call, its status and the log."""
    program(tmp_path / "bin", "apt-get", "exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(AptFailed, match=r"apt-get .* update ended with 100; its log is .*apt\.log"):
        install(["a"], tmp_path / "apt.log", tmp_path / "policy-rc.d")


@pytest.mark.parametrize("words", [[], ["prod"], ["demo", "test"]])
def test_an_unknown_purpose_is_told_the_two(words: list[str]) -> None:
    """Anything but one of demo and test ends with 2 and the usage."""
    called = [sys.executable, "-m", "deploy.setup", *words]
    ended = subprocess.run(called, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "demo|test" in ended.stderr


def test_help_lists_every_target() -> None:
    """`make help` writes itself from the comments: each phony target stands in it with a sentence."""
    phony = {line.split()[1] for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY")}
    told = {
        words[1]
        for line in make("help", path=os.environ["PATH"]).stdout.splitlines()
        if (words := line.split())[:1] == ["make"]
    }
    assert told == phony
    assert {"demo", "test", "check", "clean", "lock"} <= told


def test_a_broken_shim_is_passed_over(tmp_path: Path) -> None:
    """The first Python that really runs and is new enough makes the environment, not the first on the path."""
    program(tmp_path, "python3.13", "exit 127")
    program(tmp_path, "python3.12", '[ "$1" = -c ] && exit 1; echo "old python was used"')
    program(tmp_path, "python3.11", '[ "$1" = -c ] && exit 0; echo "python3.11 called with $*"; exit 9')
    (tmp_path / "rm").symlink_to(shutil.which("rm") or "/bin/rm")
    ended = make("venv", f"VENV={tmp_path / 'venv'}", path=str(tmp_path))
    assert ended.returncode != 0
    assert f"python3.11 called with -m venv {tmp_path / 'venv'}" in ended.stdout
    assert "old python" not in ended.stdout


def test_no_python_is_one_sentence(tmp_path: Path) -> None:
    """Without a Python that runs the sentence says which were tried and what to install."""
    ended = make("venv", f"VENV={tmp_path / 'venv'}", path=str(tmp_path))
    assert ended.returncode != 0
    assert "No Python of 3.11 or newer runs here (tried python3.13" in ended.stderr


def test_the_locks_hold_hashes_and_no_index() -> None:
    """Every requirement of every lock is pinned with hashes; no lock names where it came from."""
    for lock in (ROOT / "locks").glob("*.txt"):
        lines = lock.read_text(encoding="utf-8").splitlines()
        pinned = [at for at, line in enumerate(lines) if line and not line.startswith((" ", "#"))]
        assert pinned, lock
        for at in pinned:
            assert "==" in lines[at], f"{lock}: {lines[at]}"
            assert "--hash=sha256:" in lines[at + 1], f"{lock}: {lines[at]}"
        assert not [line for line in lines if "://" in line]


def test_npm_brings_exactly_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """npm gets a copy of the lock and runs no scripts; what was made from this lock is not made again."""
    said = tmp_path / "said"
    program(tmp_path / "bin", "npm", f'echo "$PWD $*" >> {said}; mkdir node_modules')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    packages = tmp_path / "packages"
    for _ in range(2):
        bring(ROOT / "locks/node", packages)
    assert said.read_text(encoding="utf-8").splitlines() == [
        f"{packages} ci --ignore-scripts --no-audit --no-fund --loglevel=error"
    ]
    (packages / "package-lock.json").write_text("{}", encoding="utf-8")
    assert not is_current(ROOT / "locks/node", packages)
    program(tmp_path / "bin", "npm", "echo no network >&2; exit 7")
    with pytest.raises(NpmFailed, match="npm ci ended with 7: no network"):
        bring(ROOT / "locks/node", packages)


def test_the_lock_of_npm_names_hashes_and_no_host() -> None:
    """Every package has its hash; where it is downloaded from is the machine's own setting."""
    lock = json.loads((ROOT / "locks/node/package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages["node_modules/cloudevents"]
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())

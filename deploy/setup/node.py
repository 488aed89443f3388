"""Brings the packages of locks/node into var/node with npm, every one checked against the hash in the lock."""

import shutil
import subprocess
from pathlib import Path

#: The names and hashes of what is brought; it names no host, so npm asks the registry that it is configured for.
LOCK = Path("locks/node")
#: Where the packages lie, and a copy of the lock that they were made from.
PACKAGES = Path("var/node")
#: Longest time for npm, in seconds.
NPM_SECONDS = 300

FILES = ("package.json", "package-lock.json")


class NpmFailed(Exception):
    """npm ended badly, or is not there; the text says why and what is lost."""


def is_current(lock: Path = LOCK, packages: Path = PACKAGES) -> bool:
    """Whether the packages were made from this lock."""
    copies = [(lock / name, packages / name) for name in FILES]
    made = (packages / "node_modules").is_dir() and all(copy.is_file() for _, copy in copies)
    return made and all(each.read_bytes() == copy.read_bytes() for each, copy in copies)


def bring(lock: Path = LOCK, packages: Path = PACKAGES) -> None:
    """Install the lock's packages, without running any script of theirs; nothing to do where they are there.

    Raises `NpmFailed`.
    """
    if is_current(lock, packages):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NpmFailed("Missing: npm; without it there are not: the checks by the JavaScript SDK of CloudEvents")
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(lock / name, packages / name)
    call = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        ended = subprocess.run(call, cwd=packages, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise NpmFailed(f"npm ci did not work: {failed}") from failed
    if ended.returncode:
        shutil.rmtree(packages / "node_modules", ignore_errors=True)
        raise NpmFailed(f"npm ci ended with {ended.returncode}: {ended.stderr.strip()[-2000:]}")

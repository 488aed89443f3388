"""`python -m deploy.setup demo|test|crash`: bring what is missing, say in one sentence what cannot be brought."""

import os
import shutil
import sys
from pathlib import Path

from deploy.setup import Purpose, missing, way_out
from deploy.setup.apt import AptFailed, install
from deploy.setup.node import NpmFailed, bring

LOG = Path("var/setup/apt.log")


def main(arguments: list[str]) -> int:
    """Bring what the purpose needs.

    Ends 0 also where something stays missing, because demo and tests say themselves what they do without it; only in
    continuous integration (`CI` is set) tests that would be skipped are an error.
    """
    try:
        purpose = Purpose(*arguments)
    except (TypeError, ValueError):
        print("usage: python -m deploy.setup demo|test|crash", file=sys.stderr)
        return 2
    if purpose is Purpose.DEMO and os.environ.get("HOCKET_BROKER_URL"):
        return 0
    lacking = missing(purpose)
    if lacking and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = [need.package for need in lacking]
        print(f"Installing {', '.join(packages)} (log: {LOG}) …", flush=True)
        try:
            install(packages, LOG)
        except AptFailed as failed:
            print(failed, file=sys.stderr)
        lacking = missing(purpose)
    if lacking and purpose is Purpose.TEST:
        strict = bool(os.environ.get("CI"))
        print(f"{way_out(lacking)}{'' if strict else '. The tests that need it are skipped.'}", file=sys.stderr)
        return int(strict)
    return _node_packages() if purpose is Purpose.TEST else 0


def _node_packages() -> int:
    try:
        bring()
    except NpmFailed as failed:
        strict = bool(os.environ.get("CI"))
        print(f"{failed}{'' if strict else '. The tests that need it are skipped.'}", file=sys.stderr)
        return int(strict)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

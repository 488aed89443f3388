"""`python -m tests.crash.compat`: the transport contract and a short crash run on RabbitMQ 4.0, in a chroot of Debian.

The chroot is made once, by debootstrap, from the mirror that this machine's apt uses, and stays in `var/trixie`. Where
it cannot be had one sentence says why, and nothing is run.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.broker.node import PROGRAMS
from deploy.setup.apt import AptFailed, install

SUITE = "trixie"
ROOT = Path("var/trixie").resolve()
SBIN = Path("var/compat/sbin").resolve()
LOG = Path("var/compat/debootstrap.log")
#: Where the server stands inside, and which it must be.
SERVER = "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"
VERSION = re.compile(r"rabbitmq_server-(4\.\d+\.\d+)")
MIRROR = "http://deb.debian.org/debian"
#: Longest the making of the chroot may take, in seconds.
MAKE_SECONDS = 1800
CONTRACT = "tests/hocket/broker"
KILLS = "50"

#: Runs one of the server's programs inside, in a mount namespace of its own that sees the node's folder and /proc.
INSIDE = """\
#!/bin/sh
exec unshare --mount --propagation private /bin/sh -ec '
root=$1 name=$2; shift 2
mkdir -p "$root$HOME"
mount --bind "$HOME" "$root$HOME"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" /bin/sh -c "exec /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/$name \\"\\$@\\"" "$name" "$@"
' sh {root} "${{0##*/}}" "$@"
"""


class CannotBeHad(Exception):
    """There is no RabbitMQ 4 here; the text says why."""


def mirror() -> str:
    """The mirror from which this machine's apt has Debian, else Debian's own."""
    listed = _said(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"])
    return next((line.split()[1] for line in listed.splitlines() if line.startswith("Debian ")), MIRROR)


def _said(words: list[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _proxy() -> dict[str, str]:
    found = re.search(r'Acquire::http::Proxy "([^"]+)"', _said(["apt-config", "dump"]))
    return {"http_proxy": found[1]} if found else {}


def bring() -> str:
    """Make the chroot where it is not there; the server's version. Raises `CannotBeHad`."""
    if os.geteuid() or not shutil.which("apt-get") or not shutil.which("unshare"):
        raise CannotBeHad("it needs root, apt-get and unshare, to make a chroot of Debian and to run in it")
    if not list(ROOT.glob(SERVER)):
        _make()
    found = [VERSION.search(str(path)) for path in ROOT.glob(SERVER)]
    if not found or found[0] is None:
        raise CannotBeHad(f"{ROOT} holds no RabbitMQ 4: remove it and try again")
    SBIN.mkdir(parents=True, exist_ok=True)
    for name in ("rabbitmq-server", "rabbitmqctl"):
        (SBIN / name).write_text(INSIDE.format(root=ROOT), encoding="utf-8")
        (SBIN / name).chmod(0o755)
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        raise CannotBeHad("this machine forbids mount namespaces (unshare --mount)")
    return found[0][1]


def _make() -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not shutil.which("debootstrap"):
            install(["debootstrap"], LOG)
        shutil.rmtree(ROOT, ignore_errors=True)
        words = ["debootstrap", "--variant=minbase", "--include=rabbitmq-server", SUITE, str(ROOT), mirror()]
        print(f"Making {ROOT} (log: {LOG}) …", flush=True)
        with LOG.open("ab") as log:
            subprocess.run(
                words, check=True, stdout=log, stderr=log, timeout=MAKE_SECONDS, env={**os.environ, **_proxy()}
            )
    except AptFailed as failed:
        raise CannotBeHad(str(failed)) from failed
    except (OSError, subprocess.SubprocessError) as failed:
        raise CannotBeHad(f"debootstrap {SUITE} from {mirror()} failed: {failed}; its log is {LOG}") from failed


def main() -> int:
    """Run both on RabbitMQ 4; 0 where both are clean or where there is no RabbitMQ 4 to be had."""
    try:
        version = bring()
    except CannotBeHad as why:
        print(f"compat skipped: {why}")
        return 0
    print(f"RabbitMQ {version}", flush=True)
    environment = {**os.environ, PROGRAMS: str(SBIN)}
    contract = subprocess.run([sys.executable, "-m", "pytest", "-q", CONTRACT], env=environment, check=False)
    crash = subprocess.run(
        [sys.executable, "-m", "tests.crash"], env={**environment, "KILLS": os.environ.get("KILLS", KILLS)}, check=False
    )
    return int(bool(contract.returncode or crash.returncode))


if __name__ == "__main__":
    sys.exit(main())

"""Installs Debian packages when already root, and leaves no system service running."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

#: Longest time for one call of apt-get, in seconds.
APT_SECONDS = 900
#: Longest wait for another package manager to let go of the lock, in seconds.
LOCK_SECONDS = 300
#: Tries of one download.
DOWNLOAD_TRIES = 3

POLICY = Path("/usr/sbin/policy-rc.d")
#: Answers "forbidden" to every package that wants to start its service (invoke-rc.d's exit status).
FORBID = "#!/bin/sh\nexit 101\n"


class AptFailed(Exception):
    """apt-get ended badly; the text says which call and where its log is."""


@contextmanager
def no_service_starts(policy: Path = POLICY) -> Iterator[None]:
    """Forbid that a package starts its service, and put back whatever policy was there before."""
    before = policy.read_bytes() if policy.exists() else None
    mode = policy.stat().st_mode if before is not None else 0
    policy.write_text(FORBID, encoding="utf-8")
    policy.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            policy.unlink(missing_ok=True)
        else:
            policy.write_bytes(before)
            policy.chmod(mode)


def _call(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    with log.open("ab") as out:
        out.write(f"\n$ {' '.join(arguments)}\n".encode())
        out.flush()
        try:
            ended = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                timeout=APT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failed:
            raise AptFailed(f"{' '.join(arguments[:1])} did not work: {failed}; its log is {log}") from failed
    if ended.returncode:
        raise AptFailed(f"{' '.join(arguments)} ended with {ended.returncode}; its log is {log}")


def install(packages: Sequence[str], log: Path, policy: Path = POLICY) -> None:
    """Install `packages` without what they only recommend; everything apt-get says goes to `log`.

    Raises `AptFailed`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-o", f"Acquire::Retries={DOWNLOAD_TRIES}"]
    with no_service_starts(policy):
        _call(["apt-get", *options, "update"], environment, log)
        _call(["apt-get", *options, "install", "--yes", "--no-install-recommends", *packages], environment, log)

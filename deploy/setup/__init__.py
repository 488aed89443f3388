"""Brings the system's packages that a demo or the tests need; stdlib only, so that it runs before anything else.

What is installed is used. When already root, `apt-get` brings the rest without leaving a system service running; it
never asks for more rights. Where neither is possible one sentence says what to do.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

#: Where programs of the system lie that are not on everybody's path.
SYSTEM_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"


class Purpose(StrEnum):
    """What the packages are for."""

    DEMO = "demo"
    TEST = "test"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Need:
    """One program, the package that brings it, and what is lost without it."""

    program: str
    package: str
    without: str


RABBITMQ = Need("rabbitmq-server", "rabbitmq-server", "everything on a real RabbitMQ")
FAKETIME = Need("faketime", "faketime", "clocks that jump")
NEEDS: dict[Purpose, Sequence[Need]] = {
    Purpose.DEMO: (RABBITMQ,),
    Purpose.TEST: (
        RABBITMQ,
        Need("chromium", "chromium", "the pages in a real browser"),
        Need("chromedriver", "chromium-driver", "the pages in a real browser"),
        Need("prometheus", "prometheus", "the dashboard's queries"),
        Need("pgbouncer", "pgbouncer", "PostgreSQL behind a pooler"),
        FAKETIME,
        Need("node", "nodejs", "the checks by the JavaScript SDK of CloudEvents"),
        Need("npm", "npm", "the checks by the JavaScript SDK of CloudEvents"),
    ),
    Purpose.CRASH: (RABBITMQ, FAKETIME),
}


def found(program: str) -> Path | None:
    """Where `program` is installed, also outside of the caller's path; None where it is not."""
    where = shutil.which(program) or shutil.which(program, path=SYSTEM_PATHS)
    return Path(where) if where else None


def missing(purpose: Purpose, look: Callable[[str], Path | None] = found) -> list[Need]:
    """What `purpose` needs and the machine lacks, in the order of the table."""
    return [need for need in NEEDS[purpose] if look(need.program) is None]


def way_out(lacking: Sequence[Need]) -> str:
    """The sentence for what cannot be brought: which programs, what is lost, and the command that mends it."""
    programs = ", ".join(need.program for need in lacking)
    lost = ", ".join(dict.fromkeys(need.without for need in lacking))
    packages = " ".join(need.package for need in lacking)
    command = f"apt-get install --no-install-recommends {packages}"
    return f"Missing: {programs}; without it there is not: {lost}. As root: {command}"

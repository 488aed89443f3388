"""Runs tests with a rule broken: collected once, then each breakage in a process of its own that is forked there.

Loading the kit and its tests takes most of the time, so it is done once. A breakage puts other code into functions that
are loaded already; it can change what functions do, not what a module computes while it is imported.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.mutations.table import ROOT, Mutation, Stale, chosen

#: The run with nothing broken.
AS_IT_IS = "as it is"
#: Longest run of one breakage, in seconds; then its process is killed.
RUN_SECONDS = 60.0
#: Processes at once.
AT_ONCE = 2


def functions_of(owner: object, module: str) -> Iterator[FunctionType]:
    """The functions and methods that a module defines, below decorators, properties and caches."""
    for value in vars(owner).values():
        if isinstance(value, type) and value.__module__ == module:
            yield from functions_of(value, module)
            continue
        inner: Any = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
        while hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        if isinstance(inner, FunctionType) and inner.__module__ == module:
            yield inner


def _codes(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _codes(const)


def apply(mutation: Mutation) -> None:
    """Break the rule in this process. Raises `Stale` where that changes no function."""
    module = importlib.import_module(mutation.module)
    now, then = (
        {each.co_qualname: each for each in _codes(compile(text, mutation.file, "exec"))}
        for text in (mutation.source(), mutation.broken())
    )
    changed = {name for name, code in then.items() if name in now and _differ(now[name], code)}
    put = 0
    for function in functions_of(module, module.__name__):
        if function.__qualname__ in changed:
            function.__code__ = then[function.__qualname__]
            put += 1
    if not put:
        raise Stale(f"rule {mutation.rule}: the breakage of {mutation.file} changes no function of it")


def _differ(one: CodeType, other: CodeType) -> bool:
    """Whether two codes do different things, wherever they stand in their file."""
    return (one.co_code, one.co_names, one.co_consts) != (other.co_code, other.co_names, other.co_consts)


class Breaking:
    """A plugin of pytest: runs what was collected once as it is, and once with each rule broken."""

    def __init__(self, mutations: Sequence[Mutation]) -> None:
        self.mutations = mutations
        self.found: dict[str, dict[str, str]] = {}
        self._failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed, by name without parameters, and where: a test that breaks in its set-up shows no rule."""
        if report.failed:
            self._failed.setdefault(report.nodeid.partition("[")[0], report.when or "")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Fork a process for each breakage, a few at once."""
        waiting: list[tuple[str, Mutation | None]] = [(AS_IT_IS, None), *((each.name, each) for each in self.mutations)]
        waiting.reverse()
        with tempfile.TemporaryDirectory() as folder:
            running: dict[int, tuple[str, float, Path]] = {}
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    name, mutation = waiting.pop()
                    answer = Path(folder, str(len(waiting)))
                    pid = _forked(lambda m=mutation, a=answer: self._run(session, m, a))  # type: ignore[misc]
                    running[pid] = (name, time.monotonic(), answer)
                for pid, (name, since, answer) in list(running.items()):
                    if time.monotonic() - since > RUN_SECONDS:
                        os.kill(pid, signal.SIGKILL)
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        del running[pid]
                        said = answer.read_text(encoding="utf-8") if answer.is_file() else ""
                        self.found[name] = json.loads(said or '{"": "its process ended without an answer"}')
                time.sleep(0.005)
        return True

    def _run(self, session: pytest.Session, mutation: Mutation | None, answer: Path) -> None:
        if mutation is not None:
            apply(mutation)
        for item in session.items:
            if mutation is None or item.nodeid.partition("[")[0] == mutation.test:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        answer.write_text(json.dumps(self._failed), encoding="utf-8")


def _forked(work: Callable[[], None]) -> int:
    if pid := os.fork():
        return pid
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        work()
    finally:
        os._exit(0)


def run(mutations: Sequence[Mutation]) -> Mapping[str, Mapping[str, str]]:
    """The tests that failed with each breakage, by its name, and as it is; with each test the part in which it failed.

    Raises `Stale` where a breakage does not fit, `RuntimeError` where the tests cannot be run.
    """
    for each in mutations:
        each.broken()
    words = [sys.executable, "-m", "tests.mutations.running", *(each.rule for each in mutations)]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"the breakages did not run: {made.stdout[-2000:]}{made.stderr[-2000:]}")
    found: dict[str, dict[str, str]] = json.loads(made.stdout.splitlines()[-1])
    return found


def main(rules: Sequence[str]) -> int:
    """Run the breakages of these rules in this process, which has loaded nothing of the kit; print what failed."""
    breaking = Breaking(chosen(rules))
    tests = sorted({each.test for each in breaking.mutations})
    status = pytest.main(["-p", "no:cacheprovider", "-q", *tests], plugins=[breaking])
    sys.stdout.write(f"\n{json.dumps(breaking.found)}\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

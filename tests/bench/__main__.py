"""`make bench`: interleaved rounds on a private broker, medians and spread; report in var/bench/report.json."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from deploy.broker.node import RabbitNode
from deploy.database.server import DatabaseFailed, PostgresServer
from deploy.database.server import find_programs as find_database
from tests.bench.environment import Databases, Ground
from tests.bench.figures import HOCKET, Field, Figure
from tests.bench.goals import GOALS, verdict
from tests.bench.ordering.figures import OrderFigures
from tests.bench.processes import ChildFailed, Run
from tests.bench.projections.figures import ProjectionFigures
from tests.bench.sagas.figures import SagaFigures
from tests.bench.webhooks.figures import WebhookFigures

REPORT = Path("var/bench/report.json")
ROUNDS_FILE = Path("var/bench/rounds.json")
#: Rounds of a run unless `ROUNDS` says otherwise.
ROUNDS = 5

Runs = dict[str, dict[str, list[Run]]]


def chosen(figures: Sequence[Figure], only: str) -> list[Figure]:
    """The figures that `ONLY` names, by how names begin, with commas between several; all without it."""
    if not only:
        return list(figures)
    found = [each for each in figures if any(name.startswith(tuple(only.split(","))) for name in each.names)]
    if not found:
        names = ", ".join(name for each in figures for name in each.names)
        raise SystemExit(f"ONLY={only} names no figure; there are {names}")
    return found


def rounds(figures: Sequence[Figure], many: int) -> Runs:
    """A B C A B C …: in each round every system once, so that what disturbs the machine disturbs all."""
    runs: Runs = {}
    for number in range(many):
        for figure in figures:
            if figure.rounds is not None and number >= figure.rounds:
                continue
            for system, run in figure.systems.items():
                try:
                    found = run()
                except ChildFailed as failed:
                    print(f"{figure.names[0]} {system} failed: {failed}", file=sys.stderr, flush=True)
                    continue
                for name, value in found.values.items():
                    runs.setdefault(name, {}).setdefault(system, []).append(found)
                    print(f"round {number + 1} {name:22} {system:18} {value:10,.1f} {figure.unit}", flush=True)
    return runs


def summed(runs: Runs) -> dict[str, dict[str, float]]:
    """Medians by figure and system, CPU microseconds an event beside them."""
    report: dict[str, dict[str, float]] = {}
    for name, systems in runs.items():
        for system, found in systems.items():
            values = {
                name: [each.values[name] for each in found],
                f"{name}_client_us": [each.client_us for each in found],
                f"{name}_broker_us": [each.broker_us for each in found],
                f"{name}_database_us": [each.database_us for each in found],
            }
            for figure, numbers in values.items():
                if figure == name or any(numbers):
                    report.setdefault(figure, {})[system] = round(statistics.median(numbers), 2)
    return report


def table(runs: Runs, report: dict[str, dict[str, float]]) -> str:
    """What was measured, with the spread and the ratio of hocket to each peer."""
    lines = [
        "| figure | system | median | lowest to highest | hocket to it | client µs | broker µs | database µs |",
        "|---" * 8 + "|",
    ]
    for name, systems in runs.items():
        ours = report[name].get(HOCKET)
        for system, found in systems.items():
            values, middle = [each.values[name] for each in found], report[name][system]
            ratio = f"{ours / middle:.2f}" if ours and middle and system != HOCKET else ""
            cpu = [report.get(f"{name}_{who}_us", {}).get(system, 0) for who in ("client", "broker", "database")]
            spread = f"{min(values):,.1f} to {max(values):,.1f}"
            costs = " | ".join(f"{each:.0f}" for each in cpu)
            lines.append(f"| {name} | {system} | {middle:,.1f} | {spread} | {ratio} | {costs} |")
    return "\n".join(lines)


def _write(runs: Runs, report: dict[str, dict[str, float]]) -> None:
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    old: dict[str, dict[str, float]] = {}
    if os.environ.get("ONLY") and REPORT.exists():
        old = json.loads(REPORT.read_text(encoding="utf-8"))
    REPORT.write_text(json.dumps({**old, **report}, indent=1) + "\n", encoding="utf-8")
    every = {
        name: {system: [each.values[name] for each in found] for system, found in systems.items()}
        for name, systems in runs.items()
    }
    ROUNDS_FILE.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


def _commit() -> str:
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def main() -> None:
    """Measure, write the report, say how the goals stand."""
    many, scale = int(os.environ.get("ROUNDS", ROUNDS)), float(os.environ.get("SCALE", "1"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hocket-bench-")))
        node = stack.enter_context(RabbitNode(folder / "broker"))
        server = None
        if find_database() is None:
            print("No PostgreSQL is installed: its figures are left out (apt-get install postgresql).", flush=True)
        else:
            try:
                server = stack.enter_context(PostgresServer(folder / "postgres"))
            except DatabaseFailed as failed:
                print(f"PostgreSQL does not start, its figures are left out: {failed}", flush=True)
        ground, databases = Ground(node), Databases(folder / "databases", server)
        figures = [
            *Field(ground, databases, scale).figures(),
            *OrderFigures(ground, databases, scale).figures(),
            *SagaFigures(ground, databases, folder / "sagas", scale).figures(),
            *WebhookFigures(ground, databases, scale).figures(),
            *ProjectionFigures(ground, databases, scale).figures(),
        ]
        runs = rounds(chosen(figures, os.environ.get("ONLY", "")), many)
    report = summed(runs)
    _write(runs, report)
    print(table(runs, report))
    print(f"\ncommit {_commit()}, {many} rounds; {REPORT}, {ROUNDS_FILE}")
    for line in verdict(report, GOALS):
        print(line)


if __name__ == "__main__":
    main()

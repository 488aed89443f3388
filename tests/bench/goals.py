"""The goals of the benchmark, as ratios of hocket to a peer or as bounds, and how a report stands to them."""

from collections.abc import Sequence
from dataclasses import dataclass

Report = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Goal:
    """`at_least` or `at_most` this ratio to `peer`; without a peer the value itself is bounded."""

    figure: str
    peer: str = ""
    at_least: float = 0.0
    at_most: float = 0.0


RAW, FASTSTREAM = "raw_aio_pika", "faststream"
GOALS = (
    Goal("publish_pipelined", RAW, at_least=1.25),
    Goal("publish_pipelined", FASTSTREAM, at_least=1.7),
    Goal("publish_outbox", RAW, at_least=1.0),
    Goal("publish_outbox", "faststream_outbox", at_least=3.0),
    Goal("consume_sqlite", RAW, at_least=1.0),
    Goal("consume_sqlite", FASTSTREAM, at_least=1.5),
    Goal("consume_postgres", RAW, at_least=1.0),
    Goal("consume_postgres", FASTSTREAM, at_least=1.5),
    Goal("consume_step_sqlite", RAW, at_least=0.5),
    Goal("consume_step_postgres", RAW, at_least=0.4),
    Goal("chain_three", RAW, at_least=1.0),
    Goal("chain_three", FASTSTREAM, at_least=1.5),
    Goal("chain_three_bare", RAW, at_least=0.85),
    Goal("chain_three_bare", FASTSTREAM, at_least=1.25),
    Goal("saga_three_postgres", "dbos", at_least=5.0),
    Goal("rate_limit_four_most", at_most=50.0),
    Goal("rate_limit_four_average", at_least=40.0),
    Goal("timers_100k_p50_s", at_most=1.0),
    Goal("timers_100k_p99_s", at_most=20.0),
    Goal("timers_100k_early", at_most=0.0),
    Goal("dependency_down_beyond_slots", at_most=0.0),
    Goal("dependency_down_burned_before", at_most=4.0),
    Goal("dependency_down_burned_later", at_most=0.0),
    Goal("dependency_down_letters", at_most=0.0),
    Goal("dependency_down_drain_s", at_most=60.0),
    Goal("dependency_down_beside_down", at_most=1.5),
    Goal("dependency_down_beside_after", at_most=1.5),
    Goal("consume_ordered_sqlite", "unordered", at_least=0.8),
    Goal("consume_ordered_postgres", "unordered", at_least=0.8),
    Goal("blocked_sqlite_release_s", at_most=15.0),
    Goal("blocked_postgres_release_s", at_most=15.0),
    Goal("blocked_sqlite_beside", at_least=0.9),
    Goal("blocked_postgres_beside", at_least=0.9),
    Goal("webhooks_64_callers", "aiohttp_by_hand", at_least=1.5),
    Goal("webhook_alone_p50", "aiohttp_by_hand", at_most=1.3),
    Goal("projection_live_sqlite", "handler", at_least=0.7),
    Goal("projection_rebuild_sqlite_reads", at_most=1.5),
    Goal("projection_rebuild_sqlite_held_ms", at_most=200.0),
    Goal("projection_live_postgres", "handler", at_least=0.7),
    Goal("projection_rebuild_postgres_reads", at_most=1.5),
    Goal("projection_rebuild_postgres_held_ms", at_most=200.0),
    Goal("latency_p50", RAW, at_most=2.0),
    Goal("latency_p99", RAW, at_most=2.0),
    Goal("drift_warn_us", at_most=4.0),  # 3 % of what an event costs in `consume_sqlite`
    Goal("idle_mib", at_most=85.0),
    Goal("import_ms", at_most=800.0),
)


def verdict(report: Report, goals: Sequence[Goal]) -> list[str]:
    """A line a goal that the report can answer: reached or missed, with both numbers."""
    lines = []
    for goal in goals:
        systems = report.get(goal.figure, {})
        if "hocket" not in systems or (goal.peer and not systems.get(goal.peer)):
            continue
        value = systems["hocket"] / systems[goal.peer] if goal.peer else systems["hocket"]
        reached = value >= goal.at_least if goal.at_least else value <= goal.at_most
        bound = f">= {goal.at_least:g}" if goal.at_least else f"<= {goal.at_most:g}"
        against = f" to {goal.peer}" if goal.peer else ""
        lines.append(f"{'reached' if reached else 'MISSED '} {goal.figure}{against}: {value:.2f}, goal {bound}")
    return lines

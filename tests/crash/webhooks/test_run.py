"""A small crash run of webhooks on a real broker: clean as the service is, red where a promise is taken away."""

from pathlib import Path

from deploy.broker.node import RabbitNode
from tests.crash.databases import SqliteFiles
from tests.crash.webhooks.plan import INGRESS, SUBSCRIBERS
from tests.crash.webhooks.run import Run

SEED, KILLS, EVENTS, RATE = 12, 4, 80, 40.0


def small(folder: Path, node: RabbitNode, broker: str, sabotage: str = "") -> Run:
    """A run in which ingress alone is killed."""
    return Run(
        SEED, KILLS, EVENTS, RATE, 1, folder, node, broker, SqliteFiles(folder), print, sabotage,
        disturbed=False, looks=2,
    )  # fmt: skip


async def test_a_small_run_is_clean(tmp_path: Path, rabbitmq: RabbitNode, broker_url: str) -> None:
    """RULES 12.2 to 12.6: through kills at the boundaries of a push each delivery id is said once."""
    run = small(tmp_path, rabbitmq, broker_url)
    assert await run.run() == 0, run.verdict
    assert "lost 0 doubled 0 strange 0" in run.verdict
    assert {each.stem for each in tmp_path.glob("*.db")} == {INGRESS, *SUBSCRIBERS}


async def test_promises_taken_away_turn_it_red(tmp_path: Path, rabbitmq: RabbitNode) -> None:
    """RULES 12.1, 12.2, 12.4: an answer before its commit, a push not known again, one that nobody signed."""
    run = small(tmp_path, rabbitmq, rabbitmq.add_vhost("crash-webhooks-red"), "early,twice,unsigned")
    assert await run.run() == 1
    assert "was answered 202 and is not in the log" in run.verdict
    assert "was said 2 times" in run.verdict
    assert "to be refused, was answered 202" in run.verdict

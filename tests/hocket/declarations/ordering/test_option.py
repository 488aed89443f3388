"""RULES 9: what `ordered=` may be, what cannot be with it, and the queue that it makes."""

from typing import Any

import pytest

from hocket import Service, Tx
from hocket.errors import DeclarationError
from tests.hocket.sample_services import Rung, Shut, Tolled


def service(**options: Any) -> Service[None]:
    """A service with one handler."""
    made = Service("rows", owner="team-tower")

    @made.handler(**options)
    async def ring(rung: Rung, tx: Tx) -> None:
        """Nothing."""

    return made


def test_it_has_a_queue_of_its_own_and_keeps_its_keys() -> None:
    """RULES 9.1, 9.10: one active consumer; what was addressed to the former queue arrives too."""
    made = service(ordered=True, formerly="bong").declarations
    [subscription] = made.subscriptions.values()
    assert (subscription.queue, subscription.identity) == ("rows.ring.ordered", "rows.bong")
    assert subscription.former_queues == ("rows.bong", "rows.bong.ordered", "rows.ring")
    [queue] = made.topology().queues
    assert queue.arguments["x-single-active-consumer"] is True
    assert "x-single-active-consumer" not in service().declarations.topology().queues[0].arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ordered": "yes"}, 'write ordered=True, where a dead one blocks its subject, or ordered="skip"'),
        ({"ordered": True, "idempotent": True}, "needs the inbox row that idempotent=True leaves out"),
        ({"ordered": "skip", "prefetch": 10}, "remove prefetch="),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    """RULES 9.2, 9.3: the error names the handler and the way out."""
    with pytest.raises(DeclarationError, match=r"rows\.ring: .*") as refused:
        service(**options)
    assert words in str(refused.value)


def test_a_step_cannot_be_ordered() -> None:
    """RULES 9.3: it would begin before its turn."""
    made = Service("rows", owner="team-tower")

    @made.handler(ordered=True)
    async def toll(rung: Rung, tx: Tx) -> Tolled:
        return Tolled(name=rung.name)

    with pytest.raises(DeclarationError, match="a step cannot be"):

        @made.undo(toll, Tolled, by="name")
        async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx) -> None:
            """Never."""

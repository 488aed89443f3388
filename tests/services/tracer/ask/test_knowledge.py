"""What services declared of themselves."""

from hocket.console.facts import Manifest
from services.tracer.ask.knowledge import Knowledge
from services.tracer.ask.services import services_of
from tests.services.tracer.sample_facts import MANIFESTS, START, known


def test_owners_come_from_the_last_manifest() -> None:
    """Who owns a service is what it said last; a service that never said is not guessed."""
    moved = Manifest.model_validate({**MANIFESTS[1], "owner": "team-bank"})
    assert Knowledge([*known().manifests, (moved, START)], {}).owner("payments") == "team-bank"
    assert known().owner("nobody") == ""
    assert services_of([], known(), START) == []

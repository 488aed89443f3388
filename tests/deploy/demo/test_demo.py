"""Whole demos on `memory://`: one that is sound, then one for each promise that is taken away, all at once."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.demo.place import HOST, PORTS
from deploy.demo.sabotage import SABOTAGES
from tests.deploy.demo.demo_process import Demo
from tests.deploy.port_offsets import free_offset

MEMORY = {"HOCKET_BROKER_URL": "memory://"}
#: What each promise that is taken away must be named by in the verdict: kinds of findings, and counts of the report.
NAMED = {
    "inbox": ({"doubled"}, {"doubled"}),
    "undo": ({"zombie"}, {"zombies"}),
    "outbox": ({"lost"}, {"lost"}),
    "breaker": ({"hammered"}, {"requests_while_open"}),
}
#: What a demo must have told of, in the words of each story.
STORIES = (
    "The breaker card-api is closed again",
    "orders were cancelled by their time-out",
    "is sent back, and the card system refuses its refund",
    "It is a zombie, and team-money's work",
    "is a zombie no more: its flow is compensated",
    "of them were sent back",
    "Retry-After",
    "were refused for their signature",
    "by the newest that was told of them",
    "customers looked at their order at once and saw it",
    "sends a new field",
    "sign with their new secret",
)


@pytest.fixture
def sound() -> Iterator[Demo]:
    """One that keeps every promise and stays."""
    demo = Demo(free_offset(PORTS.values()), STAY="1", **MEMORY)
    try:
        yield demo
    finally:
        demo.end()


@pytest.fixture(scope="module")
def spoilt() -> Iterator[dict[str, Demo]]:
    """Those that lack something, by what they lack; all under way at once."""
    running: dict[str, Demo] = {}
    try:
        for which in SABOTAGES:
            running[which] = Demo(free_offset(PORTS.values()), DEMO_SABOTAGE=which, **MEMORY)
            running[which].until("services are ready")
        yield running
    finally:
        for demo in running.values():
            demo.end()


def report(demo: Demo) -> dict[str, Any]:
    """The report that the auditor wrote."""
    assert demo.place.report.is_file(), demo.printed
    found: dict[str, Any] = json.loads(demo.place.report.read_text(encoding="utf-8"))
    return found


def test_the_books_balance_and_it_stays(sound: Demo) -> None:
    """A sound demo ends green, stays with its addresses open until Ctrl-C, and leaves no process and no port."""
    sound.until("It stays until Ctrl-C")
    assert "Verdict: the books balance." in sound.printed, sound.printed
    assert "NOT" not in sound.printed, sound.printed
    found = report(sound)
    assert found["broker"] == "memory"
    assert found["confirmed"] + found["cancelled"] == found["orders"]
    assert found["captures"] - found["refunds"] == found["parcels"] - found["recalls"] == found["confirmed"]
    assert min(found["timed_out"], found["refunds"], found["recalls"]) > 0
    assert found["leads"] == found["leads_synced"] == found["leads_welcomed"] == found["leads_viewed"]
    assert min(found["webhooks_doubled"], found["webhooks_reordered"], found["webhooks_refused"]) > 0
    assert found["viewed"] == found["orders"]
    for seen in STORIES:
        assert seen in sound.printed, sound.printed
    for service in ("tracer", "deadletters"):
        with urllib.request.urlopen(sound.place.url(service), timeout=10) as page:
            assert page.status == 200
        assert sound.place.url(service) in sound.printed
    assert sound.interrupt() == 0
    assert sound.left() == ([], [])


@pytest.mark.parametrize("which", SABOTAGES)
def test_a_promise_taken_away_turns_it_red(spoilt: dict[str, Demo], which: str) -> None:
    """Without the inbox, the undo, the outbox or the breaker the verdict is red and names what broke."""
    demo = spoilt[which]
    assert demo.wait() == 1, demo.printed
    kinds, counts = NAMED[which]
    found = report(demo)
    assert found["balanced"] is False
    assert kinds <= {each["kind"] for each in found["findings"]}
    assert all(found[count] > 0 for count in counts)
    assert "Verdict: the books do NOT balance" in demo.printed
    assert demo.left() == ([], [])


def test_ctrl_c_in_the_middle_leaves_nothing_behind() -> None:
    """An interruption while orders are on their way ends everything, with a status of its own."""
    demo = Demo(free_offset(PORTS.values()), **MEMORY)
    try:
        demo.until("are on their way")
        assert demo.interrupt() == 130
        assert demo.left() == ([], [])
    finally:
        demo.end()


def test_a_taken_port_is_named() -> None:
    """One sentence names the port, what wanted it, and DEMO_PORT_OFFSET; nothing has been started."""
    offset = free_offset(PORTS.values())
    with socket.create_server((HOST, PORTS["payments"] + offset)):
        demo = Demo(offset, **MEMORY)
        try:
            assert demo.wait() == 1
            [line] = demo.printed.splitlines()
            assert f"Port {PORTS['payments'] + offset}, wanted for payments" in line
            assert "DEMO_PORT_OFFSET" in line
        finally:
            demo.end()


@pytest.mark.parametrize(
    ("name", "word"),
    [("DEMO_PORT_OFFSET", "many"), ("DEMO_PORT_OFFSET", "65000"), ("DEMO_ORDERS", "3"), ("DEMO_SABOTAGE", "all")],
)
def test_what_cannot_be_meant_is_refused(name: str, word: str) -> None:
    """A setting that cannot be meant ends with one sentence that names it and what may be said."""
    demo = Demo(free_offset(PORTS.values()), **{**MEMORY, name: word})
    try:
        assert demo.wait() == 1
        [line] = demo.printed.splitlines()
        assert f"{name}={word}: say " in line
    finally:
        demo.end()

"""What letters have in common: errors without their numbers, and the innermost own frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deadletters.fold.cause import HEAD, frame_of, normalised, stack
from tests.services.deadletters.running_desk import TRACE


@pytest.mark.parametrize(
    ("error", "normal"),
    [
        ("POST /send after 5.0 s", "POST /send after ‹n› s"),
        ("order 4711 of ada@example.com", "order ‹n› of ‹mail›"),
        ("flow 0199c2f4-7a1e-7c3b-8000-00000000abcd", "flow ‹id›"),
        ("key 9f86d081884c7d659a2feaa0c55ad015", "key ‹id›"),
        ("body: not UTF-8, byte 17", "body: not UTF-8, byte ‹n›"),
        ("order-4711 is gone\nand more", "order-‹n› is gone"),
        ("", ""),
    ],
)
def test_what_differs_from_letter_to_letter_is_left_out(error: str, normal: str) -> None:
    """Numbers, ids and addresses; only the first line counts."""
    assert normalised(error) == normal


def test_the_innermost_own_frame_is_found_and_marked() -> None:
    """Frames of Python, of installed packages and of the kit are foreign and folded."""
    assert frame_of(TRACE) == "handlers.py:57 record_order"
    lines = stack(TRACE)
    assert [line.kind for line in lines] == ["text", "folded", "own", "folded", "text"]
    [own] = [line for line in lines if line.marked]
    assert own.code == 'territory = TERRITORIES[order.address["region"]]'
    assert [frame.short for frame in lines[1].frames] == ["tasks.py:520 wait_for", "handle.py:88 run"]


def test_a_stack_without_own_frames_marks_none() -> None:
    """Nothing is guessed."""
    assert frame_of("ValueError: x") == ""
    assert [line.text for line in stack("ValueError: x")] == ["ValueError: x"]
    assert stack("") == []


@given(st.text(max_size=300))
def test_no_stack_is_too_strange(trace: str) -> None:
    """Any text is shown somehow."""
    frame_of(trace)
    stack(trace)
    assert len(normalised(trace)) <= 160


def trace(*files: str) -> str:
    """A stack through these files, each with a function of its own name."""
    return "".join(f'  File "{file}", line 1, in {file.rsplit("/", 1)[1][:-3]}\n' for file in files)


@pytest.mark.parametrize(
    ("files", "own"),
    [
        # a clone that is called as the kit, or as a library
        (
            ["/src/me/hocket/shared/hocket/delivery/handle.py", "/src/me/hocket/crm/sold.py"],
            "sold.py:1 sold",
        ),
        (["/src/asyncio/shared/hocket/delivery/handle.py", "/src/asyncio/crm/sold.py"], "sold.py:1 sold"),
        (["/w/python3.11/shared/hocket/delivery/handle.py", "/w/python3.11/crm/sold.py"], "sold.py:1 sold"),
        # a module of the team's with the name of one of the kit's
        (
            ["/v/lib/python3.11/site-packages/hocket/delivery/handle.py", "/src/hocket/service.py"],
            "service.py:1 service",
        ),
        # the team's code is an installed package itself
        (
            [
                "/v/lib/python3.11/site-packages/hocket/delivery/handle.py",
                "/usr/lib/python3.11/asyncio/tasks.py",
                "/v/lib/python3.11/site-packages/shop/sold.py",
                "/v/lib/python3.11/site-packages/aiohttp/client.py",
            ],
            "sold.py:1 sold",
        ),
        (["/src/me/hocket/shared/hocket/delivery/handle.py"], ""),
    ],
)
def test_a_frame_is_own_by_its_package_not_by_the_names_of_folders(files: list[str], own: str) -> None:
    """The kit is where its own modules stand; what it calls is the team's, wherever it is installed."""
    assert frame_of(trace(*files)) == own


def test_a_stack_that_begins_at_the_teams_own_frame() -> None:
    """Without the kit's frames before it: an installed package is the team's where the last stack begins with it."""
    shop, sql = "/v/lib/python3.11/site-packages/shop/sold.py", "/v/lib/python3.11/site-packages/sqlalchemy/engine.py"
    cause = f"{HEAD}\n{trace(sql)}OSError: gone\n\nThe above exception was the direct cause of this one:\n\n"
    assert frame_of(f"{cause}{HEAD}\n{trace(shop, sql)}RuntimeError: no") == "sold.py:1 sold"
    assert frame_of(f"{trace(sql)}OSError: gone") == ""  # cut: where it began is not known

"""Warnings are counted by their shape, and those that one process repeats are named."""

import json
from collections import Counter
from pathlib import Path

from tests.soak.log_shapes import mask, read, repeating, shape, troubles


def warning(event: str, **about: object) -> str:
    """A line as the kit logs it."""
    return json.dumps({"event": event, "level": "warning", "time": "2026-01-02T03:04:05.678901Z", **about})


def test_ids_and_numbers_are_masked() -> None:
    """Two texts that differ in ids, times and counts only are one."""
    one = mask("row 17 of 0192f0c4-7b1a-7e55-8a3b-5f2f0c1d2e3f waited 1.25 s at 127.0.0.1:5672 (a1b2c3d4)")
    two = mask("row 9 of 0192f0c4-7b1a-7e55-8a3b-000000000001 waited 30 s at 127.0.0.1:40001 (99ff00aa)")
    assert one == two
    assert one == "row N of ID waited N s at N (ID)"


def test_words_stay() -> None:
    """What differs in a word differs."""
    assert shape(warning("link is down", service="till")) != shape(warning("link is down", service="bank"))
    assert mask("faded decade") == "faded decade"


def test_only_what_warns_is_counted() -> None:
    """Neither what is said for information, nor the mark of a life, nor an empty line."""
    assert shape(json.dumps({"event": "link is up", "level": "info"})) == ""
    assert shape("-- life: None\n") == ""
    assert shape("\n") == ""
    assert shape(warning("x")) == "warning x"


def test_what_is_no_json_counts() -> None:
    """A traceback comes from no logger, and is not overlooked."""
    assert shape("Traceback (most recent call last):") == "Traceback (most recent call last):"
    assert shape('"text"') == '"text"'


def test_what_repeats_is_named(tmp_path: Path) -> None:
    """The same warning twice in one process is a finding; once in each of two is none."""
    first, second = tmp_path / "till-1.log", tmp_path / "till-2.log"
    first.write_text(warning("slow", seconds=1.5) + "\n" + warning("slow", seconds=22) + "\n" + warning("odd") + "\n")
    second.write_text(warning("odd") + "\n")
    said = read({"till-1": first, "till-2": second})
    assert said["till-2"] == Counter({"warning odd": 1})
    assert repeating(said) == ["till-1 said 2 times: warning slow seconds=N"]


def test_errors_of_a_server(tmp_path: Path) -> None:
    """Errors of a broker's and a database's log are counted, warnings are not; a log that is not there has none."""
    log = tmp_path / "server.log"
    log.write_text(
        "2026-01-02 03:04:05.1 [error] <0.1.0> Channel 3 failed\n"
        "2026-01-02 03:04:06.2 [error] <0.9.0> Channel 14 failed\n"
        "2026-01-02 03:04:06.2 [warning] <0.9.0> closing\n"
        "2026-01-02 03:04:05 UTC [7] ERROR:  deadlock detected\n"
    )
    assert sorted(troubles(log).values()) == [1, 2]
    assert troubles(tmp_path / "none.log") == Counter()

"""The command line: order of commands, numbers, no completion, an interrupt."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hocket.cli.terminal import Terminal

#: Seconds the program may take to show its help.
PROGRAM_SECONDS = 60


def commands(text: str) -> list[str]:
    """The names below `Commands:` of a help text."""
    return [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()]


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_lists_the_commands_in_their_order(hocket: Terminal, words: tuple[str, ...]) -> None:
    """With `--help` the status is 0; without a command help is printed too, with status 2."""
    for group, names in (
        ((), ["run", "check", "topology", "outbox", "dead", "say", "settings"]),
        (("dead",), ["list", "show", "replay", "discard"]),
    ):
        ended = hocket(*group, *words)
        assert ended.status == (0 if words else 2)
        assert commands(ended.out if words else ended.err) == names


@pytest.mark.parametrize(
    ("words", "option", "sentence"),
    [
        (("outbox", "orders", "--retry", "x"), "--retry", "Input should be a valid integer"),
        (("outbox", "orders", "--limit", "0"), "--limit", "Input should be greater than or equal to 1"),
        (("outbox", "orders", "--limit", "1001"), "--limit", "Input should be less than or equal to 1000"),
        (("dead", "list", "--limit", "501"), "--limit", "Input should be less than or equal to 500"),
        (("dead", "list", "--after", "-1"), "--after", "Input should be greater than or equal to 0"),
    ],
)
def test_a_number_out_of_bounds_is_a_usage_error(
    hocket: Terminal, words: tuple[str, ...], option: str, sentence: str
) -> None:
    """Status 2 with the option and what is wrong with its value; the command does nothing else."""
    ended = hocket(*words)
    assert (ended.status, ended.out) == (2, "")
    assert f"Invalid value for '{option}': {sentence}" in ended.err


@pytest.mark.parametrize("words", [("nothing",), ("--nothing",), ("run",), ("dead", "show"), ("dead", "list", "more")])
def test_usage_errors_are_status_2(hocket: Terminal, words: tuple[str, ...]) -> None:
    """An unknown command or option, a missing argument, or one too many."""
    ended = hocket(*words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("Usage: ")
    assert "Error: " in ended.err


def test_there_is_no_completion() -> None:
    """The variable that shells set for completion has no effect."""
    ended = subprocess.run(
        [sys.executable, "-c", "import sys; from hocket.cli import main; sys.argv[:] = ['hocket', '--help']; main()"],
        env={**os.environ, "_HOCKET_COMPLETE": "bash_source"},
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: hocket")


def test_an_interrupted_command_ends_as_in_a_shell(hocket: Terminal, folder: Path) -> None:
    """Status 130, without output."""
    (folder / "interrupted_seven.py").write_text("raise KeyboardInterrupt")
    assert hocket("check", "interrupted_seven") == (130, "", "")

"""The command line: order of commands, numbers, version, completion, an interrupt."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hocket import __version__ as hocket_version
from tests.hocket.cli.terminal import Terminal

#: Seconds the program may take to show its help.
PROGRAM_SECONDS = 60


def commands(text: str) -> list[str]:
    """The names below `Commands:` of a help text."""
    return [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()]


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_lists_the_commands_in_their_order(hocket: Terminal, words: tuple[str, ...]) -> None:
    """With `--help` the status is 0; without a command help is printed too, with status 2."""
    operating = ["outbox", "timers", "backfill", "breaker", "webhooks", "rebuild", "dead"]
    for group, names in (
        ((), ["run", "check", "topology", *operating, "say", "settings"]),
        (("dead",), ["list", "show", "replay", "discard"]),
    ):
        ended = hocket(*group, *words)
        assert ended.status == (0 if words else 2)
        assert commands(ended.out if words else ended.err) == names


@pytest.mark.parametrize(
    ("words", "option", "sentence"),
    [
        (("outbox", "orders", "--retry", "x"), "--retry", "'x' is not a whole number from 1 to 9223372036854775807"),
        (("outbox", "orders", "--limit", "0"), "--limit", "'0' is not a whole number from 1 to 1000"),
        (("outbox", "orders", "--limit", "1001"), "--limit", "'1001' is not a whole number from 1 to 1000"),
        (("dead", "list", "--limit", "501"), "--limit", "'501' is not a whole number from 1 to 500"),
        (("dead", "list", "--after", "-1"), "--after", "'-1' is not a whole number from 0 to 9223372036854775807"),
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


def program(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`python -m hocket`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "hocket", *words],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False,
    )  # fmt: skip


def test_a_shell_can_complete() -> None:
    """The line that README gives sets completion up, and a word that was begun is completed."""
    ended = program(_HOCKET_COMPLETE="bash_source")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "_hocket_completion()" in ended.stdout
    begun = program(_HOCKET_COMPLETE="bash_complete", COMP_WORDS="hocket se", COMP_CWORD="1")
    assert begun.stdout.strip() == "plain,settings"


def test_python_m_hocket_is_the_program() -> None:
    """With the version, for a report of a fault."""
    ended = program("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"hocket {hocket_version}\n", "")


def test_an_interrupted_command_ends_as_in_a_shell(hocket: Terminal, folder: Path) -> None:
    """Status 130, without output."""
    (folder / "interrupted_seven.py").write_text("raise KeyboardInterrupt")
    assert hocket("check", "interrupted_seven") == (130, "", "")

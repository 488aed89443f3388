"""`hocket check`, and how the program ends: output and exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hocket.delivery import STATIONS
from tests.hocket.cli.terminal import Terminal
from tests.hocket.cli.test_targets import GREETER

#: Seconds the program may take to refuse.
PROGRAM_SECONDS = 60


def test_check_says_what_a_service_declares(hocket: Terminal, folder: Path) -> None:
    """Owner, events said, and each subscription with what it hears and says."""
    (folder / "greeter_two.py").write_text(GREETER.format(name="greeter"))
    ended = hocket("check", "greeter_two")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "greeter (team-hello) says nothing",
        "  greeter.greet hears lead.captured.v1, says nothing",
    ]


def test_check_names_what_nobody_says(hocket: Terminal, folder: Path) -> None:
    """With several services it names the events that none of them says."""
    (folder / "greeter_three.py").write_text(GREETER.format(name="greeter"))
    (folder / "other_three.py").write_text(GREETER.format(name="other"))
    ended = hocket("check", "greeter_three", "other_three")
    assert ended.status == 0
    assert "greeter.greet hears lead.captured.v1, which none of these services says" in ended.out


def test_check_continues_after_a_mistake(hocket: Terminal, folder: Path) -> None:
    """An invalid service ends with status 2 and its message; the others are still shown."""
    (folder / "wrong_four.py").write_text(GREETER.format(name="wrong").replace("-> None", ""))
    (folder / "greeter_four.py").write_text(GREETER.format(name="greeter"))
    ended = hocket("check", "wrong_four", "greeter_four")
    assert ended.status == 2
    assert "greeter.greet hears" in ended.out
    assert ended.err.startswith("hocket: wrong.greet")
    assert "Traceback" not in ended.err


def test_check_prints_the_stations(hocket: Terminal) -> None:
    """`--pipeline` names each station and what it promises."""
    ended = hocket("check", "--pipeline")
    assert ended.status == 0
    for name, promise in STATIONS:
        assert any(line.split()[0] == name and line.endswith(promise) for line in ended.out.splitlines())


def test_check_without_a_module_is_a_mistake(hocket: Terminal) -> None:
    """The message says what to give."""
    ended = hocket("check")
    assert ended.status == 2
    assert "name a module with a service" in ended.err


def test_run_refuses_in_one_sentence(hocket: Terminal, folder: Path) -> None:
    """A missing module, an invalid port, a service named twice: status 2, no traceback, nothing started."""
    (folder / "greeter_five.py").write_text(GREETER.format(name="greeter"))
    for words, sentence in (
        (("services_nowhere",), "there is no module services_nowhere"),
        (("greeter_five:x",), "'x' is not a port"),
        (("greeter_five:1", "greeter_five:2"), "service greeter is named twice"),
    ):
        ended = hocket("run", *words)
        assert ended.status == 2
        assert sentence in ended.err
        assert len(ended.err.splitlines()) == 1


SEVERAL = """
from pydantic_settings import BaseSettings, SettingsConfigDict
from hocket import Event, Sensitive, Service
from {module} import uses

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SEVERAL_")
    dsn: str
    limit: int

class Asked(Event, type="lead.asked", subject="lead/{{email:pseudonym}}"):
    email: Sensitive[str]

several = Service("several", owner="team", settings=Settings, uses=uses)
several.says(Asked)
"""


def test_run_names_every_setting_that_is_missing_or_invalid(
    hocket: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one error: the kit's, each service's own, and those that a module reads at import; no value of a team's."""
    for name in [each for each in os.environ if each.startswith("HOCKET_")]:
        monkeypatch.delenv(name)
    (folder / "keeper_all.py").write_text(KEEPER.replace("AT_IMPORT", ""))
    (folder / "several_all.py").write_text(SEVERAL.format(module="keeper_all"))
    (folder / "early_all.py").write_text(SEVERAL.format(module="keeper_all") + "\nSettings()\n")
    monkeypatch.setenv("HOCKET_HTTP_HOST", "127.0.0.1")
    monkeypatch.setenv("HOCKET_PREFETCH", "many")
    monkeypatch.setenv("HOCKET_BROKER_URL", "hunter1:hunter2@host")
    monkeypatch.setenv("SEVERAL_LIMIT", "hunter2")
    ended = hocket("run", "keeper_all:0", "several_all:0", "early_all:0")
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    for part in (
        "HOCKET_PREFETCH is 'many': write a whole number from 1 to 2000",
        "HOCKET_BROKER_URL is 'hunter1:*****@host': begin it with amqp://",
        "service keeper: KEEPER_DSN is missing: set it to a text, which is kept secret",
        "service several: SEVERAL_DSN is missing: set it to a text; SEVERAL_LIMIT is not valid: input should be",
        "service several says lead.asked: its subject 'lead/{email:pseudonym}' has a pseudonym: set HOCKET_PSEUDONYM",
        "early_all reads settings when it is imported: dsn is missing: set it",
    ):
        assert part in ended.err
    assert "hunter2" not in ended.err


def test_run_says_which_driver_is_missing(folder: Path) -> None:
    """A broker address without a driver ends the real program with one sentence and status 2."""
    (folder / "greeter_six.py").write_text(GREETER.format(name="greeter"))
    ended = subprocess.run(
        [sys.executable, "-m", "hocket.cli", "run", "greeter_six:0"],
        env={**os.environ, "HOCKET_BROKER_URL": "kafka://127.0.0.1:9092"},
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert ended.returncode == 2
    assert "kafka://" in ended.stderr
    assert "Traceback" not in ended.stderr


KEEPER = """
from contextlib import asynccontextmanager
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from hocket import Service

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KEEPER_")
    dsn: SecretStr
    limit: int = 1

@asynccontextmanager
async def uses(settings):
    raise RuntimeError("cannot reach " + settings.dsn.get_secret_value())
    yield

keeper = Service("keeper", owner="team", settings=Settings, uses=uses)
AT_IMPORT
"""


@pytest.mark.parametrize(
    ("words", "at_import", "given", "status", "sentence"),
    [
        (
            "run keeper:0",
            "",
            {},
            2,
            "hocket: service keeper: KEEPER_DSN is missing: set it to a text, which is kept secret\n",
        ),
        (
            "run keeper:0",
            "",
            {"DSN": "x://u:hunter2@h", "LIMIT": "hunter2"},
            2,
            "KEEPER_LIMIT is not valid: input should",
        ),
        ("run keeper:0", "", {"DSN": "x://u:hunter2@h"}, 2, "could not start: RuntimeError: cannot reach *****"),
        (
            "check keeper",
            "",
            {},
            0,
            "hocket: in this environment it does not start: service keeper: KEEPER_DSN is miss",
        ),
        (
            "check keeper",
            "Settings()",
            {"LIMIT": "hunter2"},
            2,
            "keeper reads settings when it is imported: dsn is missi",
        ),
        ("say keeper a.b {}", "Settings()", {}, 2, "keeper reads settings when it is imported: dsn is missing"),
    ],
)
def test_a_teams_settings_are_one_sentence(
    words: str, at_import: str, given: dict[str, str], status: int, sentence: str, folder: Path
) -> None:
    """What is missing or invalid, or what `uses=` raises: no traceback, no value, nothing left running."""
    (folder / "keeper.py").write_text(KEEPER.replace("AT_IMPORT", at_import))
    ended = subprocess.run(
        [sys.executable, "-m", "hocket", *words.split()],
        env={**os.environ, "HOCKET_BROKER_URL": "memory://", **{f"KEEPER_{each}": given[each] for each in given}},
        capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    assert sentence in ended.stderr
    for wrong in ("Traceback", "hunter2", "input_value"):
        assert wrong not in ended.stderr


WITHDRAWN = '''"""A shop whose customers withdraw orders outside its handlers."""

from hocket import Event, Heard, Service, Tx


class Withdrawn(Event, type="order.withdrawn", subject="order/{order}"):
    order: str


class OrderPlaced(Heard, type="order.placed"):
    order: str


class OrderWithdrawn(Heard, type="order.withdrawn"):
    order: str


class Charged(Event, type="payment.charged", subject="order/{order}"):
    order: str


shop = Service("shop", owner="team-shop")
shop.says(Withdrawn)


@shop.handler
async def charge(placed: OrderPlaced, tx: Tx) -> Charged:
    return Charged(order=placed.order)


@shop.undo(charge, Charged, by="order")
async def refund(placed: OrderPlaced, did: Charged | None, why: OrderWithdrawn, tx: Tx) -> None:
    pass
'''


def test_check_names_a_failure_of_another_flow(hocket: Terminal, folder: Path) -> None:
    """RULES 5.1: code, file and line, sentence and way out; the status says that there are findings."""
    (folder / "withdrawn_shop.py").write_text(WITHDRAWN)
    ended = hocket("check", "withdrawn_shop")
    assert ended.status == 1
    [line] = [each for each in ended.out.splitlines() if "undo-flow" in each]
    assert line.startswith(
        "withdrawn_shop.py:31: undo-flow: shop.refund hears order.withdrawn, which shop says outside handlers"
    )
    assert ". Way out: add across=True" in line
    assert ended.err == ""


def test_what_is_allowed_is_listed_with_its_reason(hocket: Terminal, folder: Path) -> None:
    """RULES 5.1: it is no finding any more; a person sees why, and what is allowed in vain."""
    allow = 'by="order", allow={"undo-flow": "never withdrawn alone", "scope-once": "once"}'
    (folder / "allowed_shop.py").write_text(WITHDRAWN.replace('by="order"', allow))
    ended = hocket("check", "allowed_shop")
    assert ended.status == 0, ended.err
    allowed, needless = ended.out.splitlines()[-2:]
    assert allowed.startswith("allowed_shop.py:31: allowed: undo-flow: shop.refund hears order.withdrawn")
    assert allowed.endswith(". Reason: never withdrawn alone")
    assert needless == (
        "allowed_shop.py:31: not needed: scope-once: shop.refund allows what was not found here. Reason: once"
    )


def test_check_prints_json(hocket: Terminal, folder: Path) -> None:
    """Services, findings, and what is invalid; the status is that of the text."""
    (folder / "json_shop.py").write_text(WITHDRAWN)
    ended = hocket("check", "json_shop", "--json")
    assert ended.status == 1
    told = json.loads(ended.out)
    assert [each["service"] for each in told["services"]] == ["shop"]
    [finding] = told["findings"]
    assert finding["code"] == "undo-flow"
    assert finding["file"] == str(folder / "json_shop.py")
    assert (finding["line"], finding["allowed"]) == (31, None)
    assert finding["sentence"].startswith("shop.refund hears")
    assert finding["way_out"].startswith("add across=True")
    assert (told["unsaid"], told["not_needed"], told["invalid"]) == ([], [], [])
    (folder / "wrong_shop.py").write_text(WITHDRAWN.replace("-> Charged:", ":"))
    ended = hocket("check", "json_shop", "wrong_shop", "--json")
    assert ended.status == 2
    assert "shop.charge" in json.loads(ended.out)["invalid"][0]


GIVES_UP = """
from hocket import Death, Event, Heard, Scheduled, Service, Tx

class Asked(Heard, type="a.asked"):
    n: int

class Done(Event, type="b.done", subject="b/{n}"):
    n: int

class Failed(Event, type="b.failed", subject="b/{n}"):
    n: int

b = Service("b", owner="team-b")

@b.handler
async def work(asked: Asked, tx: Tx) -> Scheduled[Done]:
    raise NotImplementedError

@b.on_dead(work)
def gave_up(asked: Asked, death: Death) -> Failed:
    return Failed(n=asked.n)
"""


def test_check_lists_what_is_said_later_and_of_the_dead(hocket: Terminal, folder: Path) -> None:
    """RULES 5.5: what on_dead says is said by that subscription too."""
    (folder / "gives_up.py").write_text(GIVES_UP)
    ended = hocket("check", "gives_up")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "b (team-b) says b.done.v1, b.failed.v1",
        "  b.work hears a.asked.v1, says nothing, later b.done.v1, on_dead b.failed.v1",
    ]

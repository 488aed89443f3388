"""Arguments of commands: modules, ports, settings; each mistake is reported in one sentence."""

from pathlib import Path

import pytest

from hocket.cli.commands.run import with_ports
from hocket.cli.targets import Target, load, parse, settings
from hocket.config import Config
from hocket.errors import ConfigError, DeclarationError

GREETER = """
from hocket import Heard, Service, Tx

{name} = Service("{name}", owner="team-hello")


class LeadCaptured(Heard, type="lead.captured"):
    email: str


@{name}.handler
async def greet(lead: LeadCaptured, tx: Tx) -> None: ...
"""


def test_a_target_is_a_module_and_a_port() -> None:
    """`MODULE` or `MODULE:PORT`, port 0 for a free one."""
    assert parse("services.orders:8002") == Target("services.orders", 8002)
    assert parse("orders") == Target("orders", None)
    assert parse("orders:0") == Target("orders", 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("orders:", "'' is not a port"),
        ("orders:http", "'http' is not a port"),
        ("orders:65536", "'65536' is not a port"),
        ("orders:-1", "'-1' is not a port"),
        ("services/orders.py", "does not name a module"),
        (":8002", "does not name a module"),
        ("", "does not name a module"),
    ],
)
def test_a_wrong_target_is_one_sentence(text: str, sentence: str) -> None:
    """The message says what is wrong and what to write."""
    with pytest.raises(ConfigError, match=sentence):
        parse(text)


def test_each_service_has_its_own_port() -> None:
    """The default port is HOCKET_HTTP_PORT; two services on one port are refused before they start."""
    config = Config(http_port=8000)
    assert [port for _, port in with_ports([parse("a"), parse("b:8001")], config)] == [8000, 8001]
    assert [port for _, port in with_ports([parse("a:0"), parse("b:0")], config)] == [0, 0]
    with pytest.raises(ConfigError, match="a and b would both listen on port 8000"):
        with_ports([parse("a"), parse("b")], config)


def test_a_module_in_the_current_folder_is_found(folder: Path) -> None:
    """Its one service is the one that runs."""
    (folder / "greeter_one.py").write_text(GREETER.format(name="greeter"))
    assert load("greeter_one").name == "greeter"


def test_a_module_with_several_services_needs_one_of_its_own_name(folder: Path) -> None:
    """Otherwise the choice would be ambiguous."""
    both = GREETER.format(name="one") + GREETER.format(name="two")
    (folder / "pair_of_two.py").write_text(both)
    (folder / "two.py").write_text(both)
    with pytest.raises(ConfigError, match=r"several services \(one, two\)"):
        load("pair_of_two")
    assert load("two").name == "two"


def test_what_cannot_be_loaded_is_one_sentence(folder: Path) -> None:
    """No such module, no service in it, a missing import, an invalid declaration."""
    (folder / "empty_module.py").write_text("x = 1\n")
    (folder / "needs_more.py").write_text("import a_module_that_is_not_there\n")
    (folder / "wrong_one.py").write_text(GREETER.format(name="greeter").replace("-> None", ""))
    with pytest.raises(ConfigError, match="there is no module services_nowhere"):
        load("services_nowhere.orders")
    with pytest.raises(ConfigError, match="empty_module has no Service"):
        load("empty_module")
    with pytest.raises(ConfigError, match="needs_more imports a_module_that_is_not_there"):
        load("needs_more")
    with pytest.raises(DeclarationError):
        load("wrong_one")


def test_a_wrong_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the variable, its value and what is wrong."""
    monkeypatch.setenv("HOCKET_HTTP_PORT", "many")
    with pytest.raises(ConfigError, match="HOCKET_HTTP_PORT is 'many'"):
        settings()

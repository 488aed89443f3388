"""Every private name of another package that the kit uses is listed here, and exists in the installed version.

What the AMQP client's names are used for, and what to do when one is gone: docs/client-frames.md.
"""

import ast
import dis
import importlib.util
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from types import FunctionType
from typing import NamedTuple

import pytest

from tests.house.module import ROOT, Module, read

AMQP = "hocket.broker.rabbitmq.protocol"
#: Packages whose methods the kit may override only where it is listed here.
CLIENT = ("aiormq.", "aio_pika.", "pamqp.")
#: Public names that begin with an underscore: of named tuples, of `os`, of SQLAlchemy's rows.
PUBLIC = frozenset({"_replace", "_asdict", "_fields", "_make", "_exit", "_mapping"})
#: Calls whose second argument is a name.
BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr"})


class Use(NamedTuple):
    """One name of another package that one module of the kit uses."""

    module: str
    name: str


#: Who has the name, by use: private attributes, private modules, and methods of the client that the kit overrides.
OWNERS = {
    Use(f"{AMQP}.tapped_connection", "_Connection__reader"): "aiormq.connection.Connection",
    Use(f"{AMQP}.tapped_connection", "_Connection__last_frame_time"): "aiormq.connection.Connection",
    Use(f"{AMQP}.tapped_connection", "_Connection__connection_unblocked"): "aiormq.connection.Connection",
    Use(f"{AMQP}.tapped_connection", "make_connection"): "aio_pika.abc.UnderlayConnection",
    Use(f"{AMQP}.tapped_connection", "connect"): "aio_pika.Connection",
    Use(f"{AMQP}.tapped_connection", "_on_connection_close"): "aio_pika.Connection",
    Use(f"{AMQP}.tapped_connection", "_on_connected"): "aio_pika.Connection",
    Use(f"{AMQP}.frame_reader", "get_frame"): "aiormq.connection.FrameReceiver",
    Use(f"{AMQP}.publish_batch", "_Channel__close_event"): "aiormq.channel.Channel",
    Use("hocket.declarations.projections.tables", "_sequences"): "sqlalchemy.MetaData",
    Use("hocket.worker.commands.body", "_payload"): "aiohttp.web.BaseRequest",
    Use("hocket.worker.http.limits", "_kwargs"): "aiohttp.web.Server",
    Use("hocket.event", "pydantic._internal._model_construction"): "pydantic._internal._model_construction",
    Use("hocket.store.sqlite.connection", "_thread"): "aiosqlite.Connection",
    Use("hocket.store.sqlite.connection", "_connection"): "aiosqlite.Connection",
    Use("hocket.store.sqlite.connection", "_running"): "aiosqlite.Connection",
    Use("hocket.store.sqlite.connection", "_execute"): "aiosqlite.Connection",
    Use("hocket.store.sqlite.connection", "_tx"): "aiosqlite.Connection",
    Use("hocket.testing.virtual_time", "_selector"): "asyncio.SelectorEventLoop",
    Use("hocket.assembly.exit_bound", "_current_frames"): "sys",
    Use("hocket.resilience.forks", "_ready"): "asyncio.SelectorEventLoop",
    Use("hocket.resilience.forks", "_selector"): "asyncio.SelectorEventLoop",
    Use("hocket.resilience.forks", "_transports"): "asyncio.SelectorEventLoop",
}
#: Attributes of the client that have public names and are no part of its documentation.
UNDOCUMENTED = {
    "aiormq.channel.Channel": (
        "frames",
        "confirmations",
        "delivery_tag",
        "message_id_delivery_tag",
        "lock",
        "write_queue",
        "number",
        "max_content_size",
        "closing",
    ),
    "aiormq.connection.Connection": ("channels", "write_queue", "closing", "loop"),
    "aiormq.connection.FrameReceiver": ("reader",),
    "aio_pika.Connection": ("transport", "kwargs", "url"),
}


def private(name: str) -> bool:
    """Whether a name says that it is nobody else's."""
    return name.startswith("_") and not name.endswith("__") and name != "_" and name not in PUBLIC


@cache
def nodes(module: Module) -> list[ast.AST]:
    """Every node of a module, outer ones first."""
    return list(ast.walk(module.tree))


def own_names(module: Module, kit: Mapping[str, Module], of_class: ast.ClassDef) -> set[str]:
    """The names that a class of the kit and its bases in the kit define."""
    names: set[str] = set()
    for node in ast.walk(of_class):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            names |= set(ast.literal_eval(node.value))
    for base in of_class.bases:
        name = ast.unparse(base).split("[")[0]
        home, _, simple = imported(module).get(name, f"{module.name}.{name}").rpartition(".")
        for node in kit[home].tree.body if home in kit else ():
            if isinstance(node, ast.ClassDef) and node.name == simple:
                names |= own_names(kit[home], kit, node)
    return {name for name in names if not mangled(name) or mangled(name) == of_class.name.lstrip("_")}


def mangled(name: str) -> str:
    """The class of a name as Python changes `__name` within a class, `_Class__name`; "" for another name."""
    owner, separator, rest = name.removeprefix("_").partition("__")
    return owner if name.startswith("_") and separator and rest and owner else ""


@cache
def imported(module: Module) -> dict[str, str]:
    """The full name behind each name that a module imports."""
    names: dict[str, str] = {}
    for node in nodes(module):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    return names


def accessed(module: Module, kit: Mapping[str, Module]) -> Iterator[str]:
    """Private names in attributes: of `self` where no class of the kit defines it, of anything else always."""
    own: dict[ast.AST, set[str]] = {}
    for node in nodes(module):
        if isinstance(node, ast.ClassDef):
            names = own_names(module, kit, node)
            own |= dict.fromkeys(ast.walk(node), names)  # an inner class comes later, and wins
    for node in nodes(module):
        if isinstance(node, ast.Attribute) and private(node.attr):
            myself = ast.unparse(node.value) in {"self", "cls", "super()"}
            if not (myself and node.attr in own.get(node, ())):
                yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BY_NAME:
            name = node.args[1]
            if isinstance(name, ast.Constant) and private(str(name.value)):
                yield str(name.value)


def overridden(module: Module) -> Iterator[str]:
    """Methods of the AMQP client that a class of the kit replaces by its own."""
    names = imported(module)
    for node in nodes(module):
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            first, _, rest = ast.unparse(base).partition(".")
            full = ".".join(filter(None, (names.get(first, ""), rest)))
            if isinstance(node, ast.ClassDef) and full.startswith(CLIENT):
                methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
                yield from sorted(name for name in methods if not name.endswith("__") and has(full, name))


def private_modules(module: Module) -> Iterator[str]:
    """Private modules of others, and private names of public ones."""
    for node in nodes(module):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("hocket"):
            if any(private(part) for part in node.module.split(".")):
                yield node.module
            yield from (alias.name for alias in node.names if private(alias.name))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if any(map(private, alias.name.split("."))))


def uses(modules: Sequence[Module]) -> set[Use]:
    """Every private name of another package that these modules use."""
    kit = {module.name: module for module in modules}
    return {
        Use(module.name, name)
        for module in modules
        for found in (accessed(module, kit), overridden(module), private_modules(module))
        for name in found
    }


def has(owner: str, name: str) -> bool:
    """Whether an installed class defines the name, or sets it on its instances; for a module, whether it exists."""
    home, _, simple = owner.rpartition(".")
    if owner == name:
        return importlib.util.find_spec(owner) is not None
    if not home:
        return hasattr(importlib.import_module(owner), name)
    of_class = getattr(importlib.import_module(home), simple)
    for each in inspect.getmro(of_class):
        for value in vars(each).values():
            if isinstance(value, FunctionType):
                code = dis.get_instructions(inspect.unwrap(value))
                if any(step.opname == "STORE_ATTR" and step.argval == name for step in code):
                    return True
        if name in vars(each) or name in vars(each).get("__annotations__", ()):
            return True
    return False


KIT = read("shared/hocket", "shared")


def test_every_private_name_is_listed() -> None:
    """The kit uses exactly the private names above: a new one is taken on purpose, a dropped one leaves the list."""
    found = uses(KIT)
    new = sorted(f"{use.module} uses {use.name} of another package; use its public interface, or list it in OWNERS"
                 for use in found - OWNERS.keys())  # fmt: skip
    gone = sorted(f"{use.module} uses {use.name} no more; remove it from OWNERS" for use in OWNERS.keys() - found)
    assert [*new, *gone] == []


@pytest.mark.parametrize(("use", "owner"), OWNERS.items(), ids=lambda each: ".".join(each).rpartition(".")[2])
def test_every_private_name_exists(use: Use, owner: str) -> None:
    """The installed version of the package still has each name."""
    page = "; docs/client-frames.md says what for" if owner.startswith(CLIENT) else ""
    assert has(owner, use.name), f"{owner} has no {use.name} any more, which {use.module} uses{page}"


@pytest.mark.parametrize(("owner", "names"), UNDOCUMENTED.items())
def test_every_undocumented_name_exists(owner: str, names: Sequence[str]) -> None:
    """The installed client still has the public attributes that its documentation does not promise."""
    gone = [f"{owner} has no {name} any more, which {AMQP} uses" for name in names if not has(owner, name)]
    assert gone == []


def test_only_one_folder_uses_private_names_of_the_client() -> None:
    """Taps of the AMQP client are in `protocol/` alone."""
    client = [use for use, owner in OWNERS.items() if owner.startswith(CLIENT)]
    assert [use for use in client if not use.module.startswith(f"{AMQP}.")] == []


def test_the_page_names_them_all() -> None:
    """docs/client-frames.md tells of each name that is taken from the AMQP client."""
    page = (ROOT / "docs/client-frames.md").read_text(encoding="utf-8")
    names = [use.name for use, owner in OWNERS.items() if owner.startswith(CLIENT)]
    names += [name for of_owner in UNDOCUMENTED.values() for name in of_owner]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_client_is_pinned() -> None:
    """The distribution asks for exactly the version that is installed and locked: a name is private to a version."""
    wanted = f"aiormq=={version('aiormq')}"
    assert f'"{wanted}"' in (ROOT / "shared/pyproject.toml").read_text(encoding="utf-8")
    for lock in ("runtime", "dev", "bench"):
        assert f"\n{wanted} " in (ROOT / f"locks/{lock}.txt").read_text(encoding="utf-8")


PLANTED = """
from aiormq.connection import Connection as Base
from aiormq._tools import _hidden
class Mine(Base):
    def __init__(self): self._own = self._foreign
    async def _Connection__writer(self, writer): return super()._also_foreign
    async def _on_close(self, exc=None): return self._own
    def mine(self, other): return other._own, getattr(other, "_by_name", None), other._replace(a=1)
"""


def test_each_kind_of_use_is_found() -> None:
    """Attributes of others, of oneself by inheritance, by a string, overridden methods, private modules and names."""
    found = uses([Module("hocket.planted", "shared/hocket/planted.py", PLANTED)])
    assert {use.name for use in found} == {
        "aiormq._tools", "_hidden", "_foreign", "_Connection__writer", "_also_foreign", "_on_close", "_own", "_by_name",
    }  # fmt: skip


def test_a_name_that_is_gone_is_noticed() -> None:
    """A class without the name, and a module that does not exist."""
    assert not has("aiormq.channel.Channel", "_Channel__close_evented")
    assert not has("aiormq._connection", "aiormq._connection")

"""Which folder of the kit may import which: the floors, as docs/house.md draws them."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.house.module import ROOT, Module, names_of

#: Most files a folder of the kit holds beside its `__init__`.
MAX_FOLDER_FILES = 14
#: Folders whose `__init__` hands names on, so that these have one address for those outside.
HANDING_ON = frozenset(
    {
        "hocket",
        "hocket.envelope",
        "hocket.saga",
        "hocket.worker",
        "hocket.assembly",
        "hocket.testing",
        "hocket.console",
        "hocket.webhooks",
        "hocket.broker.memory",
        "hocket.broker.rabbitmq",
    }
)
#: Packages that join what their folder holds: the list of stations, the program of the command line.
JOINING = frozenset(
    {"hocket.delivery", "hocket.cli", "hocket.testing.store_contract", "hocket.testing.transport_contract"}
)
DRIVERS = ("hocket.broker.memory", "hocket.broker.rabbitmq", "hocket.store.sqlite", "hocket.store.postgres")
#: Who may pick a driver.
PICKING = ("hocket.assembly", "hocket.testing")
#: The folders of a console from the ground up.
CONSOLE_FLOORS = ("read", "fold", "keep", "ask", "act", "show")
CONSOLES = ("services.tracer", "services.deadletters")

_ROW = re.compile(r"^\| ([a-z ,]+) \| (`.+) \|$", re.MULTILINE)


def table() -> list[list[str]]:
    """The tiers of docs/house.md from the ground up: rooms as dotted names below `hocket`, the face as ""."""
    text = (ROOT / "docs/house.md").read_text(encoding="utf-8")
    part = text.split("## Floors", 1)[1].split("\n## ", 1)[0]
    return [
        [name.strip("/").replace("/", ".").replace("__init__", "") for name in re.findall(r"`([^`]+)`", tier)]
        for _, row in _ROW.findall(part)
        for tier in row.split(" < ")
    ]


RANKS = {room: rank for rank, tier in enumerate(table()) for room in tier}


def room(name: str) -> str | None:
    """The room of a module of the kit: the longest entry of the table that leads to it; None for no entry."""
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if (found := ".".join(parts[:length])) in RANKS:
            return found
    return "" if not parts else None


def floors(modules: Sequence[Module]) -> Iterator[str]:
    """Imports run down, or stay in one's own room: so no room leads back to itself."""
    names = names_of(modules)
    for module in modules:
        if (mine := room(module.name)) is None:
            yield f"{module.path}: room without a floor; name it in the table of docs/house.md"
            continue
        for other in module.imports(names):
            if other.split(".")[0] != "hocket":
                continue
            if (theirs := room(other)) is None or (theirs != mine and RANKS[theirs] >= RANKS[mine]):
                yield f"{module.path}: imports {other}, which does not lie below it"


def full_folders(modules: Sequence[Module]) -> Iterator[str]:
    """A folder is one concern: it holds a bounded number of files."""
    held: dict[str, int] = defaultdict(int)
    for module in modules:
        if not module.package:
            held[module.path.rpartition("/")[0]] += 1
    for folder, count in sorted(held.items()):
        if count > MAX_FOLDER_FILES:
            yield f"{folder}: holds {count} files, more than {MAX_FOLDER_FILES}; give its second concern a room"


def addresses(modules: Sequence[Module]) -> Iterator[str]:
    """A name has one address: only named packages hand on, and no file imports its own package for a neighbour."""
    names = names_of(modules)
    for module in modules:
        imported = [other for other in module.imports(names) if other.startswith("hocket")]
        if module.package and imported and module.name not in HANDING_ON | JOINING:
            yield f"{module.path}: hands names on; its files are imported by their own names"
        if (
            not module.path.endswith(("__init__.py", "__main__.py"))
            and (own := module.name.rpartition(".")[0]) in imported
            and own != "hocket"
        ):
            yield f"{module.path}: imports its own package {own}; import the neighbour's file"


def drivers_picked(modules: Sequence[Module]) -> Iterator[str]:
    """A driver is imported by itself and by those that pick one: nobody else knows which there are."""
    names = names_of(modules)
    for module in modules:
        if f"{module.name}.".startswith(tuple(f"{one}." for one in PICKING)):
            continue
        for other in module.imports(names):
            for driver in DRIVERS:
                if f"{other}.".startswith(f"{driver}.") and not f"{module.name}.".startswith(f"{driver}."):
                    yield f"{module.path}: imports {other}; a driver is picked in {PICKING[0]} alone"


def console_floors(modules: Sequence[Module]) -> Iterator[str]:
    """A console reads, folds, keeps, asks, acts, shows: each folder imports only those before it."""
    names = names_of(modules)
    for module in modules:
        for console in CONSOLES:
            mine = _console_rank(module.name, console)
            for other in module.imports(names) if mine is not None else ():
                theirs = _console_rank(other, console)
                if theirs is not None and mine is not None and theirs > mine:
                    yield f"{module.path}: imports {other}, which does not lie below {CONSOLE_FLOORS[mine]}"


def _console_rank(name: str, console: str) -> int | None:
    if not name.startswith(f"{console}."):
        return None
    first = name.removeprefix(f"{console}.").split(".")[0]
    return CONSOLE_FLOORS.index(first) if first in CONSOLE_FLOORS else None

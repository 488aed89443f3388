"""The house test: what docs/house.md promises of the tree is true, and each rule can fail."""

import re
import subprocess
from pathlib import Path

import pytest

import hocket
from tests.house.drawing import PAGE, redrawn
from tests.house.floors import (
    MAX_FOLDER_FILES,
    addresses,
    console_floors,
    drivers_picked,
    floors,
    full_folders,
)
from tests.house.mirror import ACROSS, mirrored
from tests.house.module import ROOT, Module, read
from tests.house.rules import (
    MAX_FILE_LINES,
    MAX_FUNCTION_LINES,
    Rule,
    auditor_outside,
    banned_names,
    circles,
    dead_files,
    hidden_imports,
    no_package,
    services_apart,
    silent,
    silent_tests,
    sizes,
    unfinished,
)

FACE = {
    "Breaker",
    "Death",
    "Defer",
    "Event",
    "Heard",
    "Outside",
    "View",
    "Reject",
    "Retry",
    "Scheduled",
    "Sensitive",
    "Service",
    "Tx",
}
#: What only this workplace knows: folders of a machine, hosts of an index. Joined here so as not to find itself.
PRIVATE = re.compile(
    "|".join(
        ["/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/v/", "/ho" + "me/", "pythonho" + "sted", "index" + "-url=?[ =]http"]
    )
)
LOOKED_AT = {".html", ".css", ".js"}


def tracked() -> list[Path]:
    """Every file under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


KIT = read("shared/hocket", "shared")
SERVICES = read("services")
DEPLOY = read("deploy")
TESTS = read("tests")
ALL = [*KIT, *SERVICES, *DEPLOY, *TESTS]


def test_imports_only_run_down() -> None:
    """A module of the kit imports only what lies on a floor below its own."""
    assert list(floors(KIT)) == []


def test_a_console_leads_one_way() -> None:
    """In a console reading, folding, keeping, asking, acting and showing import only what comes before them."""
    assert list(console_floors(SERVICES)) == []


def test_a_folder_is_one_concern() -> None:
    """A folder of the kit holds a bounded number of files."""
    assert list(full_folders(KIT)) == []


def test_a_name_has_one_address() -> None:
    """Only named packages hand names on, and inside a folder a file imports its neighbours."""
    assert list(addresses(KIT)) == []


def test_drivers_are_picked_in_one_place() -> None:
    """Only `assembly` and `testing` know which drivers there are."""
    assert list(drivers_picked(KIT)) == []


def test_the_drawing_is_the_code() -> None:
    """docs/house.md shows the files as they are, in their own first words; `make house` draws it anew."""
    assert PAGE.read_text(encoding="utf-8") == redrawn()


def test_no_circles() -> None:
    """No module of the house leads back to itself by imports."""
    assert list(circles([*KIT, *SERVICES, *DEPLOY])) == []


def test_services_are_apart() -> None:
    """A service imports the face and itself; never another service, never a driver."""
    assert list(services_apart(SERVICES)) == []


def test_the_auditor_stands_outside() -> None:
    """The auditor shares no code with the services it judges."""
    assert list(auditor_outside(DEPLOY)) == []


def test_sizes() -> None:
    """No file over 350 lines and no function over 50 without a reason beside it."""
    pages = [
        Module(path.name, path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in tracked()
        if path.suffix in LOOKED_AT
    ]
    assert list(sizes([*ALL, *pages])) == []


def test_names_say_what_a_thing_is() -> None:
    """No module and no class is named by the words that say nothing."""
    assert list(banned_names(ALL)) == []


def test_no_dead_module() -> None:
    """Every module is reached from the face, a door of the kit, a service's package or a program of deploy."""
    doors = ["hocket", "hocket.assembly", "hocket.testing", "hocket.cli"]
    doors += [module.name for module in KIT if re.fullmatch(r"hocket\.testing\.\w+_contract", module.name)]  # shipped
    doors += sorted({".".join(module.name.split(".")[:2]) for module in SERVICES})
    doors += [module.name for module in [*KIT, *DEPLOY] if module.name.endswith("__main__")]
    assert list(dead_files([*KIT, *SERVICES, *DEPLOY], doors)) == []


def test_every_folder_is_a_package() -> None:
    """Every folder of modules in the kit and the services has an `__init__`."""
    assert list(no_package([*KIT, *SERVICES])) == []


def test_no_dead_page() -> None:
    """Every template and static file is named by some module or another page; its stem where an extension is added."""
    files = tracked()
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.suffix in {".py", *LOOKED_AT}}
    kept = [path for path in files if {"templates", "static"} & set(path.parts)]
    dead = [
        str(path)
        for path in kept
        if not any(path.name in text or f'"{path.stem}"' in text for at, text in texts.items() if at != path)
    ]
    assert dead == []


def test_nothing_is_promised_for_later() -> None:
    """No comment promises work."""
    assert list(unfinished(ALL)) == []


def test_no_import_is_hidden_from_run_time() -> None:
    """Annotations are declarations, so nothing they name may be imported for type checkers only."""
    assert list(hidden_imports(ALL)) == []


def test_the_face_is_complete() -> None:
    """The face is exactly its names; each can be imported and says what it is for."""
    assert set(hocket.__all__) == FACE
    assert len(hocket.__all__) == len(FACE)
    for name in FACE - {"Sensitive"}:  # an alias of Annotated has no docstring of its own
        assert (getattr(hocket, name).__doc__ or "").strip(), name
    assert "sensitive" in repr(hocket.Sensitive)


def test_the_public_speaks() -> None:
    """Every module, public class and public function of the kit has a docstring."""
    assert list(silent(KIT)) == []


def test_every_test_speaks() -> None:
    """Every test states in its docstring what it proves."""
    assert list(silent_tests(TESTS)) == []


def test_tests_mirror_the_kit() -> None:
    """A test of the kit stands in the folder of what it tests and bears its name; no listed exception is stale."""
    assert list(mirrored([*KIT, *TESTS])) == []
    assert set(ACROSS) <= {module.name for module in TESTS}


def test_nothing_names_this_machine() -> None:
    """No file under version control names a folder of somebody's machine or the host of an index."""
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in PRIVATE.finditer(text)]
    assert found == []


def planted(**texts: str) -> list[Module]:
    """Modules that break a rule; `a__b` is the module `a.b`."""
    return [
        Module(dotted, dotted.replace(".", "/") + ".py", text)
        for name, text in texts.items()
        if (dotted := name.replace("__", "."))
    ]


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES
REASONED = LONG_FUNCTION.replace("def f():", "def f():  # long: one table")
SPOKEN = 'def f():\n    """' + "word\n" * MAX_FUNCTION_LINES + '"""\n'


@pytest.mark.parametrize(
    ("rule", "modules"),
    [
        (floors, planted(hocket__clock="import hocket.worker")),
        (floors, planted(hocket__errors="def f():\n    from hocket import clock", hocket__clock="")),
        (floors, planted(hocket__broker__memory="from hocket.broker.rabbitmq import X")),
        (floors, planted(hocket__tx="from hocket import Event")),
        (floors, planted(hocket__attic="")),
        (full_folders, planted(**{f"hocket__saga__m{n}": "" for n in range(MAX_FOLDER_FILES + 1)})),
        (addresses, planted(hocket__saga__a="from hocket.saga import end", hocket__saga="")),
        (drivers_picked, planted(hocket__cli__run="from hocket.store.sqlite import store")),
        (
            console_floors,
            planted(services__tracer__read__a="import services.tracer.show.b", services__tracer__show__b=""),
        ),
        (circles, planted(a="import b", b="from c import x", c="import a")),
        (services_apart, planted(services__orders__domain="from services.payments import events")),
        (services_apart, planted(services__orders__http="from hocket.web import serve")),
        (services_apart, planted(services__orders__http="import hocket.observe")),
        (
            auditor_outside,
            planted(deploy__demo__auditor="from deploy.demo import books", deploy__demo__books="import hocket"),
        ),
        (sizes, planted(a="x = 1\n" * (MAX_FILE_LINES + 1))),
        (sizes, planted(a=LONG_FUNCTION)),
        (banned_names, planted(hocket__http_utils="")),
        (banned_names, planted(a="class OrderManager: ...")),
        (lambda found: dead_files(found, ["a"]), planted(a="import b", b="", c="import a")),
        (no_package, planted(hocket__delivery__admit="")),
        (unfinished, planted(a="x = 1  # TO" + "DO: later")),
        (hidden_imports, planted(a="from typing import TYPE_CHECKING")),
        (hidden_imports, planted(services__a="from __future__ import annotations")),
        (silent, planted(a='"""Says."""\ndef f(): ...')),
        (silent, planted(a='"""Says."""\nclass A:\n    """Says."""\n    def f(self): ...')),
        (silent_tests, planted(a="def test_x(): ...")),
        (mirrored, planted(tests__hocket__attic__test_a="", hocket="")),
        (mirrored, planted(tests__hocket__saga__test_b="", hocket__saga="", hocket__saga__a="", hocket__b="")),
    ],
)
def test_each_rule_can_fail(rule: Rule, modules: list[Module]) -> None:
    """A planted fault is found by the same function that judges the house, as one sentence that names the file."""
    found = list(rule(modules))
    assert len(found) == 1
    assert any(module.path.rpartition("/")[0] in found[0] or module.name in found[0] for module in modules)


@pytest.mark.parametrize(
    ("rule", "modules"),
    [
        (floors, planted(hocket__worker__a="import hocket.tx", hocket__tx="import hocket.clock", hocket__clock="")),
        (floors, planted(hocket__delivery__admit="from hocket.delivery import decode", hocket__delivery__decode="")),
        (drivers_picked, planted(hocket__assembly__drivers="from hocket.store.sqlite import store")),
        (services_apart, planted(services__tracer__http="import hocket.console.pages, services.tracer.storage")),
        (sizes, planted(a=REASONED)),
        (sizes, planted(a=SPOKEN)),
        (silent, planted(a='"""Says."""\ndef _f(): ...')),
        (mirrored, planted(tests__hocket__saga__test_a_late="", hocket__saga="", hocket__saga__a="")),
        (mirrored, planted(tests__hocket__saga__test_saga="", hocket__saga="")),
    ],
)
def test_each_rule_lets_the_innocent_go(rule: Rule, modules: list[Module]) -> None:
    """What the rules allow is not reported."""
    assert list(rule(modules)) == []

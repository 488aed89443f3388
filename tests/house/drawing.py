"""The trees of the kit and of the consoles in docs/house.md: each file with the first paragraph of its docstring."""

import ast
from collections import defaultdict

from tests.house.floors import CONSOLE_FLOORS, CONSOLES, room
from tests.house.module import ROOT, Module, names_of, read

PAGE = ROOT / "docs/house.md"
BEGIN = "<!-- drawn by `make house` from the code: do not edit below -->"
END = "<!-- end of the drawing -->"


def first_paragraph(module: Module) -> str:
    """The first paragraph of a module's docstring, on one line."""
    return " ".join((ast.get_docstring(module.tree) or "").split("\n\n")[0].split())


def _place(folder: str) -> tuple[str, int, str]:
    """By name; the folders of a console by their floor."""
    above, _, name = folder.rpartition("/")
    if above.replace("/", ".") in CONSOLES and name in CONSOLE_FLOORS:
        return above, CONSOLE_FLOORS.index(name), name
    return folder, -1, ""


def _lines(modules: list[Module]) -> list[str]:
    files: dict[str, list[Module]] = defaultdict(list)
    said: dict[str, str] = {}
    for module in modules:
        folder, _, name = module.path.removeprefix("shared/").rpartition("/")
        if name == "__init__.py":
            said[folder] = first_paragraph(module)
        elif name != "__main__.py":
            files[folder].append(module)
    drawn = []
    for folder in sorted(said, key=_place):
        drawn += [f"### `{folder}/`", "", said[folder], ""]
        if files[folder]:
            drawn += ["| file | what it is |", "|---|---|"]
            drawn += [f"| `{one.path.rpartition('/')[2]}` | {first_paragraph(one)} |" for one in files[folder]]
            drawn.append("")
    return drawn


def arrows(kit: list[Module]) -> dict[str, set[str]]:
    """Which room imports which."""
    names = names_of(kit)
    found: dict[str, set[str]] = defaultdict(set)
    for module in kit:
        for other in module.imports(names):
            mine, theirs = room(module.name), room(other)
            if other in names and mine and theirs and mine != theirs:
                found[mine].add(theirs)
    return found


def drawing() -> str:
    """What stands between the two marks of docs/house.md."""
    kit = read("shared/hocket", "shared")
    lines = ["", "## The tree", "", *_lines(kit), "## Who imports whom", "", "| room | imports |", "|---|---|"]
    lines += [f"| `{mine}` | {' · '.join(sorted(theirs))} |" for mine, theirs in sorted(arrows(kit).items())]
    lines += ["", "## The consoles", ""]
    for console in CONSOLES:
        lines += _lines(read(console.replace(".", "/")))
    if not lines[-1]:
        lines.pop()
    return "\n".join([*lines, ""])


def redrawn() -> str:
    """The page with the drawing as the code is now."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{drawing()}\n{END}{tail}"

"""One Python file as the rules of the house see it."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """One Python file: its dotted name, its path from the root, its text."""

    name: str
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def package(self) -> bool:
        """Whether it is a package's `__init__`."""
        return self.path.endswith("__init__.py")

    def first_line(self, node: ast.stmt) -> str:
        """The line on which a definition begins, decorators aside."""
        return self.text.splitlines()[node.lineno - 1]

    def imports(self, known: Iterable[str]) -> Iterator[str]:
        """Every module that it names in an import, wherever that stands; names that are modules count as such."""
        modules = frozenset(known)
        named: list[str] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                named += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
                named += [name if name in modules else node.module for name in inner]
        yield from dict.fromkeys(named)


def names_of(modules: Sequence[Module]) -> frozenset[str]:
    """The dotted names of modules."""
    return frozenset(module.name for module in modules)


def read(folder: str, base: str = "") -> list[Module]:
    """The modules below a folder of the project, named from `base`."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT / base).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        found.append(Module(name, path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
    return found

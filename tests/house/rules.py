"""The rules of the house, each a function from modules to findings: sentences that name the file and the way out."""

import ast
import re
import tokenize
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

from tests.house.module import Module, names_of

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 50

#: What a service may import of the kit; where it looks at other services also what is made for that, and the nouns.
SERVICE_IMPORTS = frozenset({"hocket", "hocket.webhooks"})
NOUNS = frozenset(f"hocket.{name}" for name in ("clock", "envelope", "errors", "event", "outcome", "saga"))
OBSERVER_IMPORTS = SERVICE_IMPORTS | {"hocket.observe", "hocket.console"} | NOUNS
OBSERVERS = frozenset({"tracer", "deadletters"})
BANNED = frozenset({"util", "utils", "common", "helper", "helpers", "manager", "managers"})
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
REASON = re.compile(r"long: \S+")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[Sequence[Module]], Iterator[str]]


def _ahead(edges: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    ahead = list(edges[start])
    while ahead:
        if (here := ahead.pop()) not in seen:
            seen.add(here)
            ahead.extend(edges[here])
    return seen


def circles(modules: Sequence[Module]) -> Iterator[str]:
    """No module leads back to itself; one finding a circle."""
    names = names_of(modules)
    edges = {module.name: {other for other in module.imports(names) if other in names} for module in modules}
    told: set[str] = set()
    for start in sorted(edges):
        if start not in told and start in (ahead := _ahead(edges, start)):
            circle = {name for name in ahead if start in _ahead(edges, name)}
            told |= circle
            yield f"circle of imports: {', '.join(sorted(circle))}; move what both need below"


def services_apart(modules: Sequence[Module]) -> Iterator[str]:
    """A service imports the face and itself; never another service, never a driver."""
    names = names_of(modules)
    for module in modules:
        if len(parts := module.name.split(".")) == 1:
            continue
        allowed = OBSERVER_IMPORTS if parts[1] in OBSERVERS else SERVICE_IMPORTS
        mine = f"services.{parts[1]}"
        for other in module.imports(names):
            kit = other.split(".")[0]
            if kit == "hocket" and not any(
                other == top or (top != "hocket" and other.startswith(f"{top}.")) for top in allowed
            ):
                yield f"{module.path}: imports {other}; a service imports {', '.join(sorted(allowed))}"
            if kit in {"services", "deploy", "tests"} and other != mine and not other.startswith(f"{mine}."):
                yield f"{module.path}: imports {other}; a service imports no other"


def auditor_outside(modules: Sequence[Module]) -> Iterator[str]:
    """The auditor, and whatever it imports beside it, shares no code with what it judges."""
    names = names_of(modules)
    by_name = {module.name: module for module in modules}
    ahead = [module.name for module in modules if "audit" in module.name]
    seen: set[str] = set()
    while ahead:
        if (here := ahead.pop()) in seen:
            continue
        seen.add(here)
        for other in by_name[here].imports(names):
            if other.split(".")[0] in {"hocket", "services"}:
                yield f"{by_name[here].path}: imports {other}; the auditor knows only what outsiders can see"
            elif other in names:
                ahead.append(other)


def _length(function: Function) -> int:
    end = function.end_lineno or function.lineno
    first = function.body[0]
    spoken = 0
    if ast.get_docstring(function, clean=False) is not None:
        spoken = (first.end_lineno or first.lineno) - first.lineno + 1
    return end - function.lineno + 1 - spoken


def sizes(modules: Sequence[Module]) -> Iterator[str]:
    """No file and no function beyond its bound without `# long: reason` on its first line."""
    for module in modules:
        lines = module.text.splitlines()
        if len(lines) > MAX_FILE_LINES and not REASON.search(lines[0]):
            yield f"{module.path}: {len(lines)} lines; split it, or say `# long: reason` on its first line"
        if not module.path.endswith(".py"):
            continue
        for node in ast.walk(module.tree):
            too_long = isinstance(node, Function) and _length(node) > MAX_FUNCTION_LINES
            if isinstance(node, Function) and too_long and not REASON.search(module.first_line(node)):
                yield f"{module.path}:{node.lineno}: {node.name} has {_length(node)} lines; split it, or say why not"


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def banned_names(modules: Sequence[Module]) -> Iterator[str]:
    """No module and no class whose name says only that things are shared or kept."""
    for module in modules:
        if bad := BANNED & _words(module.name):
            yield f"{module.path}: the name says {', '.join(bad)}; name what it is"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and (bad := BANNED & _words(node.name)):
                yield f"{module.path}:{node.lineno}: {node.name} says {', '.join(bad)}; name what it is"


def dead_files(modules: Sequence[Module], doors: Sequence[str]) -> Iterator[str]:
    """Every module is reached by imports from a door: a service's package, a door of the kit, the face."""
    names = names_of(modules)
    by_name = {module.name: module for module in modules}
    ahead = [name for name in names if name in doors]
    reached: set[str] = set()
    while ahead:
        if (here := ahead.pop()) in reached:
            continue
        reached.add(here)
        parts = here.split(".")
        ahead.extend(parent for length in range(1, len(parts)) if (parent := ".".join(parts[:length])) in names)
        ahead.extend(other for other in by_name[here].imports(names) if other in names)
    for name in sorted(names - reached):
        yield f"{by_name[name].path}: nothing leads here from {', '.join(doors)}; use it or remove it"


def no_package(modules: Sequence[Module]) -> Iterator[str]:
    """Every folder of modules is a package: one without `__init__` would not be shipped."""
    packages = {module.path.rpartition("/")[0] for module in modules if module.package}
    for folder in sorted({module.path.rpartition("/")[0] for module in modules} - packages):
        yield f"{folder}: holds modules and no __init__.py; say there what the package is for"


def unfinished(modules: Sequence[Module]) -> Iterator[str]:
    """No comment that promises work."""
    for module in modules:
        for token in tokenize.generate_tokens(StringIO(module.text).readline):
            if token.type == tokenize.COMMENT and UNFINISHED.search(token.string):
                yield f"{module.path}:{token.start[0]}: {token.string}; do it, or file it"


def hidden_imports(modules: Sequence[Module]) -> Iterator[str]:
    """No import that only a type checker sees: annotations are read at run time."""
    for module in modules:
        for node in ast.walk(module.tree):
            named = (
                (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
                or (isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING")
                or (isinstance(node, ast.alias) and node.name == "TYPE_CHECKING")
            )
            if named:
                yield f"{module.path}: TYPE_CHECKING; import it for all, or move what makes the circle"
            if isinstance(node, ast.ImportFrom) and node.module == "__future__" and module.name.startswith("services."):
                yield f"{module.path}: __future__; signatures are declarations and are read at import"


def _speaks(node: ast.Module | ast.ClassDef | Function) -> bool:
    return bool((ast.get_docstring(node) or "").strip())


def _overload(node: Function) -> bool:
    return any(ast.unparse(decorator).split(".")[-1] in {"overload", "setter"} for decorator in node.decorator_list)


def promised(modules: Sequence[Module]) -> frozenset[str]:
    """Names of the methods of ports: a driver's methods keep the promise that is written there."""
    return frozenset(
        method.name
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases)
        for method in node.body
        if isinstance(method, Function) and _speaks(method)
    )


def silent(modules: Sequence[Module]) -> Iterator[str]:
    """Every module, public class, public function and public method says what it is for."""
    ports = promised(modules)
    for module in modules:
        if not _speaks(module.tree):
            yield f"{module.path}: the module says nothing"
        for node in module.tree.body:
            if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
                continue
            inner = node.body if isinstance(node, ast.ClassDef) else []
            known = [method for method in inner if isinstance(method, Function) and method.name not in ports]
            for part in [node, *known]:
                if (
                    not part.name.startswith("_")
                    and not _speaks(part)
                    and not (isinstance(part, Function) and _overload(part))
                ):
                    yield f"{module.path}:{part.lineno}: {part.name} says nothing"


def silent_tests(modules: Sequence[Module]) -> Iterator[str]:
    """Every test states the behaviour that it proves."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, Function) and node.name.startswith("test_") and not _speaks(node):
                yield f"{module.path}:{node.lineno}: {node.name} does not say what it proves"

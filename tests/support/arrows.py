"""The plan of the house as data, and the check that holds code against it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ALLOWED: Mapping[str, frozenset[str]] = {
    "base": frozenset(),
    "linalg": frozenset({"base"}),
    "hooks": frozenset({"base"}),
    "groups": frozenset({"base"}),
    "plots": frozenset({"base"}),
    "models": frozenset({"base", "linalg", "hooks"}),
    "tasks": frozenset({"base", "groups"}),
    "checkpoints": frozenset({"base", "hooks", "models"}),
    "circuits": frozenset({"base", "linalg", "hooks", "models"}),
    "training": frozenset({"base", "hooks", "models", "tasks"}),
    "lab": frozenset({"base", "linalg", "hooks", "groups", "plots", "models", "tasks", "circuits", "training"}),
    "report": frozenset(
        {"base", "linalg", "hooks", "groups", "plots", "models", "tasks", "checkpoints", "circuits", "training", "lab"}
    ),
}
"""Which folders each folder may import from, besides itself. `cli` and `compat` may import from all below them."""

TOP = ("cli", "compat")
EXCEPTION = ("models/transformer.py", "from_pretrained", "checkpoints")
"""The one arrow upwards: inside this function of this file, an import from this folder."""


def violations(source: str, path: str) -> list[str]:
    """Return what is wrong with the imports of one file, as `file:line  a -> b is not an allowed arrow`.

    Args:
        source: the text of the file.
        path: its path below the package, e.g. `hooks/point.py`.

    """
    folder = path.split("/", maxsplit=1)[0] if "/" in path else ""
    found = []
    for line, target, function in _imports(ast.parse(source), path):
        if target == "":
            if folder:  # only the root itself speaks of the package as a whole
                found.append(f"{path}:{line}  {folder} -> refractor is not an allowed arrow")
        elif not _may(folder, target) and (path, function, target) != EXCEPTION:
            found.append(f"{path}:{line}  {folder or 'the root'} -> {target} is not an allowed arrow")
    return found


def _may(folder: str, target: str) -> bool:
    if folder == "":  # the root re-exports public words, but nothing that draws, reports or runs
        return target not in ("plots", "report", "cli", "compat")
    if folder in TOP:
        return target == folder or target in ALLOWED
    return target == folder or target in ALLOWED.get(folder, frozenset())


def _imports(tree: ast.Module, path: str) -> Iterator[tuple[int, str, str | None]]:
    """Yield line, imported folder ("" for the package itself) and enclosing function of every import of our own."""
    package = ["refractor", *path.split("/")[:-1]]
    for node, function in _walk(tree, None):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "refractor" else [module]
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "refractor":
                known = len(parts) > 1 and (parts[1] in ALLOWED or parts[1] in TOP)
                yield node.lineno, parts[1] if known else "", function


def _walk(node: ast.AST, function: str | None) -> Iterator[tuple[ast.AST, str | None]]:
    yield node, function
    inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, inside)


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def package_files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield path below the package and text of every file."""
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")

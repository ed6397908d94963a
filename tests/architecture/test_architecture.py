"""The house stands as planned: arrows, sizes, words, and what no file may do. Each check is shown to catch what it forbids."""

import ast
import re
from pathlib import Path

import arrows
import pytest

from refractor.base.axes import GLOSSARY

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "refractor"


FILES = dict(arrows.package_files(PACKAGE))


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 40
    assert {path.split("/")[0] for path in FILES if "/" in path} <= set(arrows.ALLOWED) | set(arrows.TOP)


def test_only_allowed_arrows() -> None:
    assert [line for path, source in FILES.items() for line in arrows.violations(source, path)] == []


def test_the_plan_has_no_cycle_and_no_sideways_arrow() -> None:
    order = list(arrows.ALLOWED)
    for folder, targets in arrows.ALLOWED.items():
        assert all(order.index(target) < order.index(folder) for target in targets), folder


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("from refractor.models.config import X", "hooks/a.py"),
        ("import refractor.models.config", "hooks/a.py"),
        ("import refractor.models.config as c", "hooks/deep/a.py"),
        ("from refractor.hooks import HookPoint", "linalg/a.py"),
        ("def f():\n    from refractor.lab import analyse", "models/a.py"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from refractor.lab import analyse", "training/a.py"),
        ("from ..models import config", "hooks/a.py"),
        ("from ...models import config", "hooks/deep/a.py"),
        ("import importlib\nimportlib.import_module('refractor.report')", "lab/a.py"),
        ("__import__('refractor.cli')", "lab/a.py"),
        ("from refractor import HookedTransformer", "circuits/a.py"),
        ("from refractor import plots", "models/a.py"),
        ("import refractor", "training/a.py"),
        ("from refractor.checkpoints import load", "models/transformer.py"),
        ("def from_pretrained():\n    from refractor.report import x", "models/transformer.py"),
        ("def from_pretrained():\n    from refractor.checkpoints import load", "models/other.py"),
        ("from refractor.compat import x", "cli/a.py"),
        ("from refractor.plots import imshow", "__init__.py"),
        ("from refractor.checkpoints import load", "lab/a.py"),
    ],
)
def test_every_form_of_forbidden_import_is_reported(source: str, path: str) -> None:
    found = arrows.violations(source, path)
    assert len(found) == 1
    assert re.fullmatch(rf"{re.escape(path)}:\d+  [\w ]+ -> \w+ is not an allowed arrow", found[0])


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("from refractor.base.errors import X", "hooks/a.py"),
        ("from refractor.hooks.point import X", "hooks/a.py"),
        ("from .point import X", "hooks/a.py"),
        ("def from_pretrained():\n    from refractor.checkpoints import load", "models/transformer.py"),
        ("from refractor.report import x", "cli/a.py"),
        ("from refractor.models import X", "__init__.py"),
        ("import torch\nfrom refractored import x", "base/a.py"),
    ],
)
def test_allowed_imports_are_not_reported(source: str, path: str) -> None:
    assert arrows.violations(source, path) == []


BUILTIN_ERRORS = {
    "ValueError",
    "TypeError",
    "KeyError",
    "RuntimeError",
    "AssertionError",
    "Exception",
    "OSError",
    "IndexError",
}


def forbidden(source: str, path: str) -> list[str]:
    """Return what no file may contain, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        reason = _forbidden_node(node, path)
        if reason:
            found.append(f"{path}:{getattr(node, 'lineno', 0)}  {reason}")
    if "from __future__ import annotations" in source:
        found.append(f"{path}:1  postponed annotations cannot be checked while tests run")
    return found


def _forbidden_node(node: ast.AST, path: str) -> str:
    if isinstance(node, ast.Assert):
        return "assert is for tests; raise an error of base.errors"
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
        private = path == "hooks/positions.py" and node.exc.func.id == "TypeError"  # caught in the same file
        if node.exc.func.id in BUILTIN_ERRORS and not private:
            return f"raise an error of base.errors, not {node.exc.func.id}"
    if isinstance(node, ast.ExceptHandler):
        if node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")):
            return "an except that catches everything"
        if all(isinstance(line, ast.Pass) for line in node.body):
            return "an error is swallowed"
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        only_the_error = [alias.name for alias in node.names] == ["UnpicklingError"]
        if not only_the_error and any(
            name.split(".")[0] in ("pickle", "dill", "cloudpickle", "joblib", "marshal") for name in names
        ):
            return "nothing is pickled"
    if isinstance(node, ast.Call):
        return _forbidden_call(node, path)
    return ""


def _forbidden_call(node: ast.Call, path: str) -> str:
    name = ast.unparse(node.func)
    if name in ("eval", "exec", "compile", "os.system"):
        return f"{name} runs what it is given"
    if name == "torch.load" and not any(
        k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
    ):
        return "torch.load without weights_only=True"
    reads_by_name = name in ("getattr", "hasattr", "setattr") and not path.startswith("checkpoints/")
    if reads_by_name and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
        return f"{name} with a literal name"
    if name == "print" and not path.startswith("cli/"):
        return "a library does not print"
    return ""


def test_no_file_does_what_is_forbidden() -> None:
    assert [line for path, source in FILES.items() for line in forbidden(source, path)] == []


@pytest.mark.parametrize(
    "source",
    [
        "assert x",
        "raise ValueError('no')",
        "try:\n    f()\nexcept KeyError:\n    pass",
        "try:\n    f()\nexcept Exception:\n    g()",
        "try:\n    f()\nexcept:\n    g()",
        "import pickle",
        "from pickle import load",
        "eval('1')",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "getattr(x, 'name')",
        "print(1)",
        "from __future__ import annotations",
    ],
)
def test_what_is_forbidden_is_found(source: str) -> None:
    assert len(forbidden(source, "lab/a.py")) == 1


LONGEST_FILE, LONGEST_FUNCTION = 400, 70


def too_long(source: str, path: str) -> list[str]:
    """Return files and functions that outgrew their page."""
    count = source.count("\n")
    found = [f"{path}: {count} lines"] if count > LONGEST_FILE else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            span = (node.end_lineno or 0) - body[0].lineno if body else 0
            if span > LONGEST_FUNCTION:
                found.append(f"{path}:{node.lineno} {node.name} has {span} lines")
    return found


def test_one_idea_per_file_and_a_function_fits_a_screen() -> None:
    assert [line for path, source in FILES.items() for line in too_long(source, path)] == []
    assert too_long("x = 1\n" * 401, "a.py") == ["a.py: 401 lines"]
    assert too_long("def f():\n" + "    x = 1\n" * 80, "a.py") == ["a.py:1 f has 79 lines"]


AXES = re.compile(r"(?:Float|Int|Bool|Complex|Shaped|Integer|Num|Inexact)\[\s*[\w.| ]+,\s*\"([^\"]*)\"\s*\]")


def unknown_axes(source: str, path: str) -> list[str]:
    """Return axis words of annotations that are not in the glossary."""
    found = []
    for match in AXES.finditer(source):
        for word in re.split(r"[\s+*\-/()]+", match[1].replace("...", "")):
            plain = word.lstrip("#_").removesuffix("_less_one")
            if plain and not plain.isdigit() and plain not in GLOSSARY:
                found.append(
                    f"{path}:{source[: match.start()].count(chr(10)) + 1}  axis {plain!r} is not in base/axes.py"
                )
    return found


def test_annotations_use_the_words_of_the_glossary() -> None:
    assert [line for path, source in FILES.items() for line in unknown_axes(source, path)] == []
    assert unknown_axes('x: Float[Tensor, "batch hed"]', "a.py") == ["a.py:1  axis 'hed' is not in base/axes.py"]

"""Importing does nothing: no global state changes, nothing heavy is loaded, nothing is printed."""

import json
import subprocess
import sys

import pytest

PROBE = """
import json, logging, os, random, signal, sys, threading, warnings
import numpy, torch

def state():
    return {
        "default dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads(), threading.active_count()],
        "torch rng": torch.get_rng_state().tolist(),
        "numpy rng": repr(numpy.random.get_state()),
        "python rng": repr(random.getstate()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "print options": repr(torch._tensor_str.PRINT_OPTS),
        "warnings": repr(warnings.filters),
        "logging": [repr(logging.root.handlers), logging.root.level],
        "hooks": [repr(sys.excepthook), repr(sys.displayhook)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": {s: repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)},
        "module": sorted(vars(torch.nn.Module)),
        "tensor": sorted(vars(torch.Tensor)),
        "path": list(sys.path),
        "meta path": [repr(type(f)) for f in sys.meta_path],
    }

before = state()
import refractor
PLANTED
after = state()
print(json.dumps({
    "changed": [name for name in before if before[name] != after[name]],
    "loaded": sorted({name.split(".")[0] for name in sys.modules}),
}))
"""

HEAVY = {
    "plotly", "typer", "huggingface_hub", "transformers", "transformer_lens", "rich", "jinja2", "pandas", "tokenizers",
    "scipy", "matplotlib", "IPython", "psutil", "playwright", "beartype", "filelock",
}  # fmt: skip


def probe(planted: str = "") -> dict[str, list[str]]:
    code = PROBE.replace("PLANTED", planted)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert len(lines) == 1, f"importing prints: {lines[:-1]}"
    return json.loads(lines[0])


def test_importing_changes_nothing_and_loads_nothing_heavy() -> None:
    seen = probe()
    assert seen["changed"] == []
    assert not HEAVY & set(seen["loaded"])


@pytest.mark.parametrize(
    ("planted", "name"),
    [
        ("torch.set_default_dtype(torch.float64)", "default dtype"),
        ("torch.set_grad_enabled(False)", "grad"),
        ("torch.rand(1)", "torch rng"),
        ("random.random()", "python rng"),
        ("warnings.simplefilter('ignore')", "warnings"),
        ("os.environ['X'] = '1'", "environment"),
        ("torch.nn.Module.patched = 1", "module"),
    ],
)
def test_a_change_is_seen(planted: str, name: str) -> None:
    assert probe(planted)["changed"] == [name]


def test_a_heavy_import_is_seen() -> None:
    assert "rich" in probe("import rich")["loaded"]


@pytest.mark.slow
def test_submodules_import_one_by_one() -> None:
    """No file depends on another having been imported first."""
    code = """
import importlib, pkgutil, subprocess, sys
import torch
import refractor
names = [m.name for m in pkgutil.walk_packages(refractor.__path__, "refractor.") if "__main__" not in m.name]
base = set(sys.modules)
for name in names:
    for loaded in [m for m in sys.modules if m == "refractor" or m.startswith("refractor.")]:
        del sys.modules[loaded]
    importlib.import_module(name)
print(len(names))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 40

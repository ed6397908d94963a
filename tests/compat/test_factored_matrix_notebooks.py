"""The two notebooks about factored matrices: every cell executed, and what they print."""

import contextlib
import io
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
SEEDS = ROOT.parent / "shared" / "reference"

PRINTED = """\
Norms:
AB: tensor(9.9105)
AB_factored: tensor(9.9105)
Right dim: 5, left dim: 5, hidden dim: 2
Eigenvalues:
tensor([-6.2877+0.j,  2.3121+0.j])
Singular Values:
tensor([8.3126, 5.3963])
Right dimension: 300, Left dimension: 5, Hidden dimension: 2
tensor(True)
FactoredMatrix: Shape(torch.Size([12, 12, 768, 768])), Hidden Dim(64)
torch.Size([12, 12, 64])
torch.complex64
FactoredMatrix: Shape(torch.Size([12, 12, 50257, 50257])), Hidden Dim(64)
torch.Size([12, 12, 64])
torch.complex64
"""


def run(name: str) -> tuple[dict[str, Any], str]:
    out = io.StringIO()
    with torch.enable_grad(), contextlib.redirect_stdout(out):  # a cell switches gradients off for good
        names = runpy.run_path(str(ROOT / "examples" / name))
    return names, out.getvalue()


@pytest.fixture(scope="module")
def circuits() -> tuple[dict[str, Any], str]:
    return run("seed1_gpt2_circuits.py")


def test_the_first_notebook_runs() -> None:
    names, printed = run("seed0_factored_matrix.py")
    AB, factored = names["AB"], names["AB_factor"]
    torch.testing.assert_close(factored.norm(), AB.norm())
    ours = sorted(factored.eigenvalues.tolist(), key=abs)
    dense = sorted(torch.linalg.eigvals(AB.double()).tolist(), key=abs)[-2:]
    assert all(min(abs(own - other) for other in dense) < 1e-4 * abs(dense[-1]) for own in ours)
    torch.testing.assert_close(names["ABC_factor"].AB, names["ABC"], atol=1e-4, rtol=1e-5)
    assert "Right dimension: 300, Left dimension: 5, Hidden dimension: 2" in printed
    assert printed.count("tensor") >= 9


def test_the_second_prints_what_the_notebook_prints(circuits: tuple[dict[str, Any], str]) -> None:
    lines = circuits[1].splitlines()
    missing = [line for line in PRINTED.splitlines() if line not in lines]
    assert missing == []
    assert re.search(r"Unfactored: torch.Size\(\[5, 300\]\) tensor\((.*)\)\nFactored: .* tensor\(\1\)\n", circuits[1])


def test_the_printed_lines_are_the_notebooks(circuits: tuple[dict[str, Any], str]) -> None:
    if not SEEDS.exists():
        pytest.skip("the notebook itself is not there")
    notebook = (SEEDS / "seed-1-gpt2-circuits-notebook.txt").read_text(encoding="utf-8")
    for line in PRINTED.splitlines():
        assert line.replace("AB: ", "").replace("AB_factored: ", "") in notebook


def test_the_figures_show_the_scores(circuits: tuple[dict[str, Any], str]) -> None:
    names, _ = circuits
    model = names["model"]
    W_V, W_O = (torch.stack([block.attn.get_parameter(name) for block in model.blocks]) for name in ("W_V", "W_O"))
    assert torch.equal(names["OV_circuit_all_heads"].A, W_V)
    with torch.no_grad():
        head = torch.linalg.eigvals(W_O[3, 5].double() @ W_V[3, 5].double())
        seen = torch.tensor(names["scores_figure"].data[0].z)[3, 5]
        torch.testing.assert_close(seen.double(), head.sum().real / head.abs().sum(), atol=1e-4, rtol=1e-4)
        W_E, W_U = model.embed.W_E.double(), model.unembed.W_U.double()
        head = torch.linalg.eigvals(W_O[11, 2].double() @ (W_U @ W_E) @ W_V[11, 2].double())
        seen = torch.tensor(names["full_scores_figure"].data[0].z)[11, 2]
        torch.testing.assert_close(seen.double(), head.sum().real / head.abs().sum(), atol=1e-4, rtol=1e-4)
    assert names["scores_figure"].layout.title.text == "OV Copying Score for each head in GPT-2 Small"
    assert len(names["eigenvalues_figure"].data[0].x) == 64
    assert len(names["both_figure"].data[0].x) == 144


@pytest.mark.parametrize(
    ("notebook", "example"),
    [
        ("seed-0-factored-matrix-notebook.txt", "seed0_factored_matrix.py"),
        ("seed-1-gpt2-circuits-notebook.txt", "seed1_gpt2_circuits.py"),
    ],
)
def test_every_line_about_factored_matrices_is_in_the_example(notebook: str, example: str) -> None:
    if not SEEDS.exists():
        pytest.skip("the notebook itself is not there")

    def squeeze(text: str) -> str:
        return re.sub(r"\s+", "", text)

    ours = squeeze((ROOT / "examples" / example).read_text(encoding="utf-8"))
    text = (SEEDS / notebook).read_text(encoding="utf-8")
    code = text[text.index("# Factored matrices" if "seed-1" in notebook else "# 1.") :].splitlines()
    names = "AB|ABC|A|B|C|OV_\\w+|full_\\w+|device|AB_\\w+|ABC_\\w+"
    analysis = [line for line in code if re.match(rf"({names}) = |print\(|imshow\(|scatter\(|torch\.testing", line)]
    assert len(analysis) >= (14 if "seed-0" in notebook else 25)
    assert [line for line in analysis if squeeze(line) not in ours] == []

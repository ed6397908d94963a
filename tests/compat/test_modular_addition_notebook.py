"""The modular addition notebook: its helpers, and every cell of it executed."""

import contextlib
import io
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refractor.base.errors import ArgumentError, CheckpointError
from refractor.compat.notebooks.modular_addition import const, load_model, make_dataset_and_labels, make_fourier_basis

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "seed3_modular_addition.py"
NOTEBOOK = ROOT.parent / "shared" / "reference" / "seed-3-modular-addition-notebook.txt"

PRINTED = """\
Dataset shape: 12,769,\t\t3
Dataset shape: 113 x 113,\t[a, b, =]
hook_embed torch.Size([12769, 3, 128])
hook_pos_embed torch.Size([12769, 3, 128])
blocks.0.hook_resid_pre torch.Size([12769, 3, 128])
blocks.0.attn.hook_q torch.Size([12769, 3, 4, 32])
blocks.0.attn.hook_k torch.Size([12769, 3, 4, 32])
blocks.0.attn.hook_v torch.Size([12769, 3, 4, 32])
blocks.0.attn.hook_attn_scores torch.Size([12769, 4, 3, 3])
blocks.0.attn.hook_pattern torch.Size([12769, 4, 3, 3])
blocks.0.attn.hook_z torch.Size([12769, 3, 4, 32])
blocks.0.hook_attn_out torch.Size([12769, 3, 128])
blocks.0.hook_resid_mid torch.Size([12769, 3, 128])
blocks.0.mlp.hook_pre torch.Size([12769, 3, 512])
blocks.0.mlp.hook_post torch.Size([12769, 3, 512])
blocks.0.hook_mlp_out torch.Size([12769, 3, 128])
blocks.0.hook_resid_post torch.Size([12769, 3, 128])
W_E torch.Size([113, 128])
W_neur torch.Size([4, 113, 512])
W_logit torch.Size([512, 113])
"""


@pytest.fixture(scope="module")
def executed() -> tuple[dict[str, Any], str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        names = runpy.run_path(str(EXAMPLE))
    return names, out.getvalue()


def test_the_cells_print_what_the_notebook_prints(executed: tuple[dict[str, Any], str]) -> None:
    assert executed[1] == PRINTED


def test_the_figures_show_what_was_computed(executed: tuple[dict[str, Any], str]) -> None:
    names, _ = executed
    pattern = names["cache"]["pattern", 0]
    average = names["average_pattern"]
    np.testing.assert_allclose(np.asarray(average.data[0].z), pattern.mean(0)[:, -1].numpy(), rtol=1e-6)
    assert list(average.data[0].x) == ["a", "b", "="]
    assert list(average.data[0].y) == [f"Head {i}" for i in range(4)]
    assert average.layout.title.text == "Average Attention Pattern per Head"
    assert (average.layout.xaxis.title.text, average.layout.yaxis.title.text) == ("Source", "Head")
    assert (average.layout.width, average.layout.height) == (800, 800)
    np.testing.assert_allclose(np.asarray(names["one_pattern"].data[0].z), pattern[5][:, -1].numpy(), rtol=1e-6)
    facets = names["attention_to_a"]
    assert len(facets.data) == 4
    np.testing.assert_allclose(np.asarray(facets.data[2].z), pattern[:, 2, -1, 0].reshape(113, 113).numpy(), rtol=1e-6)
    texts = [annotation.text for annotation in names["neurons"].layout.annotations]
    assert texts == [f"Neuron {i}" for i in range(1, 6)]
    np.testing.assert_allclose(names["singular_values"].data[0].y, names["S"].detach().numpy())
    embedding = np.asarray(names["embedding_figure"].data[0].z)
    np.testing.assert_allclose(embedding, (names["fourier_basis"] @ names["W_E"]).detach().numpy(), atol=1e-6)


def test_the_network_of_the_example_adds(executed: tuple[dict[str, Any], str]) -> None:
    names, _ = executed
    assert torch.equal(names["original_logits"][:, -1].argmax(-1), names["labels"])


@pytest.mark.skipif(not NOTEBOOK.exists(), reason="the notebook itself is not there")
def test_every_analysis_line_of_the_notebook_is_in_the_example() -> None:
    """All lines but prompts, printed output, prose and imports; a figure may be given a name."""

    def squeeze(text: str) -> str:
        return re.sub(r"\s+", "", text)

    example = squeeze(EXAMPLE.read_text(encoding="utf-8"))
    code, started = [], False
    for line in NOTEBOOK.read_text(encoding="utf-8").splitlines():
        if re.match(r"In \[\d+\]:", line):
            started = True
        elif started and line.strip():
            code.append(line)
    printed = set(PRINTED.splitlines()) | {"from .autonotebook import tqdm as notebook_tqdm"}
    missing = [
        line
        for line in code
        if line not in printed
        and line.strip() not in {text.strip() for text in printed}
        and not re.match(r"\s*(import|from) |## |###|Multiplying|The rows|The additional|Dataset shape", line)
        and "transformer_lens" not in line
        and squeeze(line) not in example
    ]
    assert missing == []


def test_the_basis_is_orthonormal_with_the_sine_first() -> None:
    basis, names = make_fourier_basis(base=7)
    torch.testing.assert_close(basis @ basis.T, torch.eye(7))
    x = torch.arange(7) * (2 * torch.pi / 7)
    torch.testing.assert_close(basis[1], torch.sin(x) * (2 / 7) ** 0.5)
    torch.testing.assert_close(basis[2], torch.cos(x) * (2 / 7) ** 0.5)
    assert len(names) == 7
    assert "sin" in names[1]
    assert "cos" in names[2]


def test_the_dataset_is_a_major() -> None:
    dataset, labels = make_dataset_and_labels(p=5, device="cpu")
    assert dataset[7].tolist() == [1, 2, 5]
    assert labels[9] == 0
    with pytest.raises(ArgumentError, match="p must be"):
        make_dataset_and_labels(p=1)


def test_weights_saved_by_the_notebook_load(tmp_path: Path) -> None:
    model = load_model(const.MODEL_SAVE_PATH, mod=const.MOD, device="cpu")
    old = {
        **model.state_dict(),
        "blocks.0.attn.mask": torch.ones(3, 3).bool(),
        "blocks.0.attn.IGNORE": torch.tensor(-1e5),
    }
    torch.save(old, tmp_path / "model.pt")
    again = load_model(tmp_path / "model.pt", mod=113)
    tokens = torch.tensor([[3, 4, 113]])
    assert torch.equal(again(tokens), model(tokens))
    with pytest.raises(CheckpointError, match=r"mod=59 needs 60 tokens and 59 answers; .* has d_vocab=114"):
        load_model(tmp_path / "model.pt", mod=59)
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="must hold the state dict of a one-layer transformer"):
        load_model(tmp_path / "other.pt", mod=113)
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="is no file of weights that can be read safely"):
        load_model(tmp_path / "bad.pt", mod=113)
    with pytest.raises(CheckpointError, match="there is no folder .*none.pt"):
        load_model(tmp_path / "none.pt", mod=113)

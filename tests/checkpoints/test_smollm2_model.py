"""SmolLM2-135M computes what it is known to compute: losses, a circuit's task, induction, text, circuits of its heads."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest
import torch
from smollm2 import smollm2

from refractor import HookedTransformer
from refractor.checkpoints import save_pretrained, verify

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SENTENCE = "The quick brown fox jumps over the lazy dog. When Mary and John went to the store, John gave a drink to"
IOI = "When Mary and John went to the store, John gave a drink to"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smollm2(tmp_path_factory.mktemp("smollm2"))


@pytest.fixture(scope="module")
def model(path: Path) -> HookedTransformer:
    return HookedTransformer.from_pretrained_no_processing(str(path))


@torch.no_grad()
def test_losses_logits_and_induction_are_the_known_ones(model: HookedTransformer) -> None:
    assert model.to_tokens("Hello world", prepend_bos=False).tolist() == [[19556, 905]]
    assert model.to_tokens(SENTENCE).shape == (1, 25)
    assert model.to_tokens(SENTENCE)[0, :4].tolist() == [1, 504, 2365, 6354]
    assert float(model(SENTENCE, return_type="loss")) == pytest.approx(3.83372, abs=2e-5)
    last = model(IOI, prepend_bos=False)[0, -1]
    assert (model.to_single_token(" Mary"), model.to_single_token(" John")) == (5099, 2322)
    assert float(last[5099] - last[2322]) == pytest.approx(6.12, abs=5e-3)
    torch.manual_seed(0)
    once = torch.randint(1000, 20000, (1, 50))
    repeated = torch.cat([torch.tensor([[1]]), once, once], dim=1)
    losses = model(repeated, return_type="loss", loss_per_token=True)[0]
    assert float(losses[1:50].mean()) == pytest.approx(12.904, abs=1e-3)
    assert float(losses[51:].mean()) == pytest.approx(2.133, abs=1e-3)


@torch.no_grad()
def test_english_is_predicted_and_shuffled_english_is_not(model: HookedTransformer) -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    tokens = model.to_tokens(text, prepend_bos=False)
    loss = float(model(tokens, return_type="loss"))
    order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(0))
    assert loss < 2.7  # a licence is well known
    assert float(model(tokens[:, order], return_type="loss")) > loss + 3


def test_what_it_writes_reads_as_english(model: HookedTransformer) -> None:
    text = model.generate("The capital of France is", do_sample=False, max_new_tokens=8, prepend_bos=False)
    assert text.startswith("The capital of France is Paris.")
    chat = "<|im_start|>user\nWhat is the capital of Italy? One sentence.<|im_end|>\n<|im_start|>assistant\n"
    answer = model.generate(chat, do_sample=False, max_new_tokens=16, prepend_bos=False)
    assert "The capital of Italy is Rome." in answer
    tokens = model.to_tokens([IOI, "The capital of France is"], padding_side="left")
    assert tokens.shape[0] == 2
    both = model.generate([IOI, "The capital of France is"], do_sample=False, max_new_tokens=4, return_type="str")
    alone = [model.generate(prompt, do_sample=False, max_new_tokens=4) for prompt in (IOI, "The capital of France is")]
    assert both == alone


@torch.no_grad()
def test_copying_scores_of_heads_are_the_known_ones(model: HookedTransformer, path: Path) -> None:
    eigenvalues = model.OV.eigenvalues
    scores = eigenvalues.sum(-1).real / eigenvalues.abs().sum(-1)
    assert scores.shape == (30, 9)
    assert float(scores.mean()) == pytest.approx(0.236, abs=1e-3)
    assert float(scores.max()) == pytest.approx(0.999, abs=1e-3)
    assert divmod(int(scores.argmax()), 9) == (29, 2)
    folded = HookedTransformer.from_pretrained(str(path)).OV.eigenvalues
    assert float((folded.sum(-1).real / folded.abs().sum(-1)).mean()) == pytest.approx(0.232, abs=1e-3)


def test_it_is_what_transformers_computes(model: HookedTransformer, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    save_pretrained(model, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    found = verify(model, model.to_tokens(IOI), theirs)
    assert [check.passed for check in found.checks] == [True] * 6, str(found)


def test_every_cell_of_the_circuits_notebook_runs_on_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REFRACTOR_MODEL", str(path))
    source = (ROOT / "examples" / "seed1_gpt2_circuits.py").read_text(encoding="utf-8")
    labels = "for layer in range(12) for head in range(12)"
    assert labels in source
    cells = tmp_path / "cells.py"
    cells.write_text(source.replace(labels, "for layer in range(30) for head in range(9)"), encoding="utf-8")
    out = io.StringIO()
    with torch.enable_grad(), contextlib.redirect_stdout(out):
        names = runpy.run_path(str(cells))
    assert "FactoredMatrix: Shape(torch.Size([30, 9, 49152, 49152])), Hidden Dim(64)" in out.getvalue()
    assert re.search(r"torch.Size\(\[30, 9, 64\]\)\ntorch.complex64", out.getvalue())
    assert len(names["both_figure"].data[0].x) == 270

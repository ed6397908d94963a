"""The group composition notebook: its helpers, and every cell of it executed."""

import contextlib
import copy
import io
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from seed4_elements import PRINTED_ELEMENTS

from refractor.base.errors import ArgumentError, CheckpointError, OutOfRangeError, ShapeError, UnknownNameError
from refractor.compat.notebooks.group_composition import (
    AlternatingGroup,
    NotebookGroup,
    OneLayerMLP,
    Permutation,
    SymmetricGroup,
    architecture_type,
    generate_train_test_data,
    imshow,
    load_cfg,
    load_weights,
    loss_fn,
)
from refractor.groups import cyclic, group

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
EXAMPLE = ROOT / "examples" / "seed4_group_composition.py"
NOTEBOOK = SHARED / "reference" / "seed-4-group-composition-notebook.txt"
RUN = SHARED / "data" / "group_runs" / "S4_notebook"

SINGULAR_VALUES = """
6.2584, 6.2100, 6.1579, 4.6228, 4.5293, 4.3990, 4.2643, 4.1072, 3.9995, 0.3696, 0.3045, 0.2542, 0.2231, 0.2133, 0.1835,
0.1604, 0.1469, 0.1421, 0.1348, 0.1290, 0.1249, 0.1047, 0.1020, 0.0969
"""


def execute(run: str) -> tuple[dict[str, Any], str]:
    """Run the example on a network; return its names and what it prints."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setenv("GROUP_RUN", run)
        names = runpy.run_path(str(EXAMPLE))
    return names, out.getvalue()


@pytest.fixture(scope="module")
def bundled() -> tuple[dict[str, Any], str]:
    return execute("composition-S4")


@pytest.fixture(scope="module")
def published() -> tuple[dict[str, Any], str]:
    if not RUN.is_dir():
        pytest.skip(f"the network of the notebook is not at {RUN}")
    return execute(str(RUN))


# ---- the cells -----------------------------------------------------------------------------------------------------


def test_the_cells_print_what_the_notebook_prints(published: tuple[dict[str, Any], str]) -> None:
    _, printed = published
    assert printed.startswith(PRINTED_ELEMENTS + "progress: 0 / 576\n")
    figures = {
        words: float(found[1])
        for words in (
            "cosine similarity pre softmax",
            "cosine similarity post softmax",
            "fraction of variance of logit explained by the trace logits",
            "baselines loss",
            "loss with only the largest 9 singular values of embeddings",
        )
        if (found := re.search(rf"^{words} (\S+)$", printed, re.MULTILINE))
    }
    assert list(figures.values()) == [
        pytest.approx(0.5828865, abs=2e-6),
        pytest.approx(0.9396134, abs=2e-6),
        pytest.approx(0.3483386, abs=2e-6),
        pytest.approx(1.8915e-4, rel=2e-4),
        pytest.approx(1.8686e-4, rel=2e-4),
    ]


def test_singular_values_are_those_that_the_notebook_prints(published: tuple[dict[str, Any], str]) -> None:
    names, _ = published
    wanted = [float(value) for value in SINGULAR_VALUES.split(",")]
    np.testing.assert_allclose(names["s_a"].detach().numpy(), wanted, atol=6e-5)
    assert names["s"][:10].tolist() == pytest.approx([24**0.5] + [8**0.5] * 9, rel=1e-6)
    assert names["s"][10:].abs().max() < 1e-5


def test_the_bundled_network_tells_the_same_story(bundled: tuple[dict[str, Any], str]) -> None:
    names, printed = bundled
    labels = [line.split(": ")[1].removesuffix(", signature") for line in printed.splitlines()[:24]]
    assert labels[:3] == ["(3)", "(2 3)", "(3)(1 2)"]  # our own order
    assert {line.split(": ", 1)[1] for line in printed.splitlines()[:24]} == {
        line.split(": ", 1)[1] for line in PRINTED_ELEMENTS.splitlines()
    }
    assert names["s_a"][8] > 5 * names["s_a"][9]  # nine singular values, (4 - 1)², are large
    assert 0.5 < names["sims"].mean() < 0.7
    assert names["softmax_sims"] > 0.9
    assert names["loss"] < 1e-3
    assert names["loss_new"].item() == pytest.approx(names["loss"].item(), rel=0.05)
    assert names["logits"].argmax(-1).equal(names["all_labels"])


def test_cached_activations_have_an_axis_for_each_element(bundled: tuple[dict[str, Any], str]) -> None:
    names, _ = bundled
    activations = names["activations"]
    assert {key: tuple(value.shape) for key, value in activations.items()} == {
        "embed_stack": (24, 24, 512),
        "hidden": (24, 24, 128),
        "logits": (24, 24, 24),
    }
    assert type(activations) is dict
    model, x, y = names["model"], 5, 17
    stack = torch.cat([model.W_E_a[x], model.W_E_b[y]])
    torch.testing.assert_close(activations["embed_stack"][x, y], stack.detach())
    torch.testing.assert_close(activations["hidden"][x, y], (stack @ model.W).relu().detach(), atol=1e-5, rtol=1e-5)


def test_an_assigned_embedding_changes_the_copy_and_not_the_network(bundled: tuple[dict[str, Any], str]) -> None:
    model = bundled[0]["model"]
    pairs = torch.tensor([[3, 4]])
    before, other = model(pairs), copy.deepcopy(model)
    assert torch.equal(other(pairs), before)
    other.W_E_a = torch.nn.Parameter(torch.zeros_like(model.W_E_a))
    assert not torch.equal(other(pairs), before)
    assert torch.equal(model(pairs), before)
    with pytest.raises(ShapeError, match=r"W_x must have shape \[24, 256\]; \[24, 255\] came"):
        other.W_E_a = torch.nn.Parameter(torch.zeros(24, 255))


@pytest.mark.skipif(not NOTEBOOK.exists(), reason="the notebook itself is not there")
def test_every_analysis_line_of_the_notebook_is_in_the_example() -> None:
    """All lines but prompts, printed output, prose, imports and magics; device and paths are other ones."""

    def squeeze(text: str) -> str:
        return re.sub(r"\s+", "", text).replace(".cuda()", "")

    example = squeeze(EXAMPLE.read_text(encoding="utf-8"))
    cells = NOTEBOOK.read_text(encoding="utf-8").split("# Interpretability\n")[1]
    code = [line for line in cells.splitlines() if re.search(r"[=(]|^for |^\s+return |^from |^import ", line)]
    prose = (
        "We ",
        "$$",
        "The embedding x_embed",
        "Let's",
        "So far",
        "What happens",
        "neuron ",
        "tensor(",
        "observations",
    )
    printed = set(PRINTED_ELEMENTS.splitlines())
    left = [
        line
        for line in code
        if not line.startswith(prose)
        and line not in printed
        and not re.match(r"In \[\d+\]:|\s+(0\.|9\.|\d\.\d+e)|.*device='cuda:0'|\s+grad_fn", line)
        and squeeze(line) not in example
    ]
    assert left == ['task_dir = "1L_MLP_sym_S4_cached"', 'model.load_state_dict(torch.load(f"{task_dir}/model.pt"))']


# ---- the helpers ---------------------------------------------------------------------------------------------------


def test_configurations_unpack_as_in_the_notebook() -> None:
    seed, frac_train, width, lr, group_param, weight_decay, num_epochs, group_type, architecture, metrics = load_cfg(
        "composition-S4"
    )
    assert (seed, frac_train, lr, group_param, weight_decay, metrics) == (3, 0.5, 1e-3, 4, 1.0, [])
    assert width == {"embed_dim": 256, "hidden_dim": 128}
    assert num_epochs == 60_000
    assert architecture is architecture_type
    made = group_type(group_param)
    assert (made.order, made.group.ordering) == (24, "canonical")
    weights = load_weights("composition-S4")
    model = architecture(width, made.order, seed)
    model.load_state_dict(weights)
    assert torch.equal(model.W_E_a, weights["W_x"])


def test_the_published_configuration_is_read(published: tuple[dict[str, Any], str]) -> None:
    config = load_cfg(RUN)
    assert config[:3] == (1, 0.5, {"embed_dim": 256, "hidden_dim": 128})
    assert config[3:7] == (1e-3, 4, 0.7, 200_000)
    assert config.metrics == []
    assert config.group_type(4).group.ordering == "sympy-coset-rank"
    names, _ = published
    stored = torch.load(RUN / "model.pt", map_location="cpu", weights_only=True)
    again = architecture_type(config.width, 24, config.seed)
    again.load_state_dict(stored)  # the line of the notebook, with its own names of the weights
    assert torch.equal(again.W_E_b, names["model"].W_E_b)


def test_networks_that_the_notebook_is_not_about_are_refused() -> None:
    with pytest.raises(ArgumentError, match="is about one-layer MLPs; modular-addition-113 is a HookedTransformer"):
        load_cfg("modular-addition-113")
    with pytest.raises(CheckpointError, match="neither a bundled network nor a folder"):
        load_cfg("1L_MLP_sym_S4_cached")
    if (cyclic_run := RUN.parent / "C113_MLP_seed1").is_dir():
        with pytest.raises(ArgumentError, match="groups of permutations, S_n or A_n; .*C113_MLP_seed1 learned .*C113"):
            load_cfg(cyclic_run)


def test_the_group_has_the_names_of_the_notebook() -> None:
    s4 = SymmetricGroup(4)
    lines = (f"{x}: {s4.idx_to_perm(x)}, signature: {s4.signature(x)}, order: {s4.perm_order(x)}\n" for x in range(24))
    assert "".join(lines) == PRINTED_ELEMENTS
    assert (s4.order, s4.index) == (24, 4)
    assert s4.compute_natural_rep() is None
    assert s4.natural_reps.shape == (24, 4, 4)
    x, y = 5, 17
    product = s4.natural_rep(x).mm(s4.natural_rep(y))
    assert torch.equal(product, s4.natural_rep(s4.group.product(x, y)))
    k = 2
    assert s4.natural_rep(x)[k, s4.idx_to_perm(x).array_form[k]] == 1
    assert torch.equal(s4.natural_rep(x).T, s4.natural_rep(s4.group.inverse(x)))
    assert str(Permutation((0, 1))) == "(1)"
    assert AlternatingGroup(5).order == 60
    with pytest.raises(OutOfRangeError, match=r"the elements of S4 are 0 … 23; 24 came"):
        s4.natural_rep(24)
    with pytest.raises(UnknownNameError, match="S3"):
        SymmetricGroup(3)
    with pytest.raises(ArgumentError, match="groups of permutations, as S4 and A5; the elements of C5 are names"):
        NotebookGroup(cyclic(5))


def test_the_data_is_every_pair_once() -> None:
    s4 = SymmetricGroup(4)
    everything, nothing, labels, no_labels = generate_train_test_data(s4, frac_train=1)
    assert (len(everything), len(nothing), len(no_labels)) == (576, 0, 0)
    assert everything[5 * 24 + 17].tolist() == [5, 17]
    assert labels[5 * 24 + 17] == group("S4", ordering="sympy-coset-rank").product(5, 17)
    train, test, train_labels, test_labels = generate_train_test_data(s4, 0.5, seed=1)
    order = torch.randperm(576, generator=torch.Generator().manual_seed(1))
    assert torch.equal(train, everything[order[:288]])
    assert torch.equal(torch.cat([train_labels, test_labels]), labels[order])
    assert torch.equal(generate_train_test_data(s4, 0.25)[1], everything[144:])
    assert len(test) == 288
    with pytest.raises(ArgumentError, match="frac_train"):
        generate_train_test_data(s4, 0.0)


def test_the_loss_is_in_float64() -> None:
    logits = torch.tensor([[30.0, 0.0], [0.0, 30.0]])
    loss = loss_fn(logits, torch.tensor([0, 1]))
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(float(np.log1p(np.exp(-30.0))), rel=1e-6)


def test_the_network_is_drawn_from_its_seed() -> None:
    width = {"embed_dim": 6, "hidden_dim": 5}
    model = architecture_type(width, 4, 7)
    assert isinstance(model, OneLayerMLP)
    generator = torch.Generator().manual_seed(7)
    for name, shape, fan in (("W_E_a", (4, 6), 6), ("W_E_b", (4, 6), 6), ("W", (12, 5), 12), ("W_U", (5, 4), 5)):
        torch.testing.assert_close(model.get_parameter({"W_E_a": "W_x", "W_E_b": "W_y"}.get(name, name)).detach(),
                                   torch.randn(shape, generator=generator) / fan**0.5)  # fmt: skip
    with pytest.raises(ArgumentError, match=r"width needs embed_dim and hidden_dim; \['embed'\] came"):
        architecture_type({"embed": 6}, 4, 7)


def test_images_have_the_inputs_on_their_axes() -> None:
    data = torch.arange(6.0).reshape(2, 3)
    figure: Any = imshow(data, title="words", input1="position 1", input2="position 2")
    assert (figure.layout.yaxis.title.text, figure.layout.xaxis.title.text) == ("position 1", "position 2")
    assert figure.layout.title.text == "words"
    np.testing.assert_allclose(np.asarray(figure.data[0].z), data.numpy())
    plain: Any = imshow(torch.nn.Parameter(data))
    assert plain.layout.yaxis.title.text is None
    with pytest.raises(ShapeError, match=r"\[rows, columns\]"):
        imshow(torch.zeros(3))

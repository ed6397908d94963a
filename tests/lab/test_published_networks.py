"""Figures that others published, or that were recomputed from their checkpoints, must come out again.

The networks are those of Chughtai, Chan and Nanda (2023); they are not part of this project, so these tests skip where the
folder is missing.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from refractor.base.errors import ArgumentError, CheckpointError, ConfigError, StoreError
from refractor.lab.analyse import analyse, analyse_network
from refractor.lab.analysis import Analysis
from refractor.lab.network import view_network
from refractor.lab.neurons import neuron_frequencies
from refractor.lab.published import PublishedRun, read_published_run
from refractor.tasks.modular import ModularAddition


def forward(weights: dict[str, torch.Tensor], p: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The one-layer transformer from its formula in float64: logits, neurons and attention at '='."""
    w = {
        name.removeprefix("blocks.0."): weight.double()
        for name, weight in weights.items()
        if weight.is_floating_point()
    }
    a = torch.arange(p)
    tokens = torch.stack([a.repeat_interleave(p), a.repeat(p), torch.full((p * p,), p)], 1)
    x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"]
    q = torch.einsum("nm,hmd->nhd", x[:, 2], w["attn.W_Q"])
    k = torch.einsum("npm,hmd->nphd", x, w["attn.W_K"])
    v = torch.einsum("npm,hmd->nphd", x, w["attn.W_V"])
    pattern = torch.softmax(torch.einsum("nhd,nphd->nhp", q, k) / math.sqrt(q.shape[-1]), -1)
    residual = x[:, 2] + torch.einsum("nhp,nphd,hdm->nm", pattern, v, w["attn.W_O"])
    neurons = torch.relu(residual @ w["mlp.W_in"])
    return (residual + neurons @ w["mlp.W_out"]) @ w["unembed.W_U"], neurons, pattern


@pytest.fixture(scope="module")
def c113(published_folder: Callable[[str], Path]) -> tuple[PublishedRun, Analysis]:
    run = read_published_run(published_folder("C113_T_seed1"))
    return run, analyse_network(run.transformer(), ModularAddition(113), run.split(113))


def test_the_split_is_the_published_one(c113: tuple[PublishedRun, Analysis]) -> None:
    run, _ = c113
    split = run.split(113)
    assert split.train[:4].tolist() == [984, 3756, 6851, 9169]
    assert (len(split.train), len(split.test)) == (3830, 8939)


def test_the_view_of_the_network_is_its_formula(c113: tuple[PublishedRun, Analysis]) -> None:
    run, analysis = c113
    logits, neurons, pattern = forward(dict(run.weights), 113)
    view = analysis.view
    assert view is not None
    assert view.neurons is not None
    torch.testing.assert_close(view.logits, logits, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(view.neurons, neurons, atol=1e-10, rtol=1e-10)
    assert view.attention.axes == ("layer", "head", "key_pos", "a", "b")
    assert view.attention.along("key_pos") == ("a", "b", "=")
    torch.testing.assert_close(view.attention.values[0, 2, 1, 5, 7], pattern[5 * 113 + 7, 2, 1])


def test_the_formula_gives_the_same_figures_without_the_transformer(c113: tuple[PublishedRun, Analysis]) -> None:
    run, analysis = c113
    split = run.split(113)
    plain = analyse(forward(dict(run.weights), 113)[0], p=113, train=split.train, test=split.test)
    assert plain.frequencies == analysis.frequencies
    for name in ("restricted_loss.all", "excluded_loss.train", "logit_explained_variance", "cosine_fit_loss"):
        assert plain.table()[name].value == pytest.approx(analysis.table()[name].value, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "published", "digits"),
    [
        ("restricted_loss.all", 5.56835e-8, 6),
        ("restricted_loss.test", 5.65002e-8, 6),
        ("restricted_loss.train", 5.37773e-8, 6),
        ("excluded_loss.train", 9.05578, 6),
        ("excluded_loss.train.k=16", 3.35060, 6),
        ("excluded_loss.train.k=30", 2.25656, 6),
        ("excluded_loss.train.k=56", 0.264769, 6),
        ("logit_explained_variance", 0.968541, 6),
        ("logit_explained_variance.k=16", 0.605243, 6),
        ("logit_explained_variance.k=30", 0.267983, 6),
        ("logit_explained_variance.k=56", 0.095315, 5),
        ("cosine_fit_loss", 4.12617e-8, 6),
        ("map_residual.norm", 0.0711483, 6),
        ("map_residual.energy", 0.00506209, 6),
        ("gini.W_E", 0.654960, 6),
        ("gini.W_L", 0.840718, 6),
        ("sum_of_squared_weights", 849.565, 6),
        ("loss.train", 8.859246219744575e-08, 6),
        ("loss.test", 1.8847545287725484e-07, 6),
        ("loss.all", 1.5851601308126488e-07, 6),
    ],
)
def test_measures_of_c113(c113: tuple[PublishedRun, Analysis], name: str, published: float, digits: int) -> None:
    assert c113[1].table()[name].value == pytest.approx(published, rel=1.001 * 10.0 ** (1 - digits))


def test_frequencies_and_neurons_of_c113(c113: tuple[PublishedRun, Analysis]) -> None:
    table = c113[1].table()
    assert table["key_frequencies.logits"].value == (16, 30, 56)
    assert table["key_frequencies.neuron_logit_map"].value == (16, 30, 56)
    assert table["key_frequencies.neurons"].value == (16, 30, 56)
    assert table["key_frequencies.embedding"].value == (1, 16, 30, 56)  # the rule is known to pick one too many
    counts = [table[f"neurons.above_cut.k={k}"].value for k in (16, 30, 56)]
    assert (table["neurons.above_cut"].value, counts) == (495, [196, 103, 196])
    shares = [row.value for row in table if row.name.startswith("direction_explained_variance")]
    assert len(shares) == 6
    assert (round(min(shares), 3), round(max(shares), 3)) == (0.970, 0.986)  # pyright: ignore[reportArgumentType]


def test_verdict_and_finding_of_c113(c113: tuple[PublishedRun, Analysis]) -> None:
    analysis = c113[1]
    assert analysis.verdict.claim == "computes a + b mod 113 with the frequencies {16, 30, 56}"
    assert "confidently wrong" in analysis.verdict.notes[0]
    assert analysis.finding.startswith(
        "Keeping only frequencies {16, 30, 56} and the mean: accuracy 1.000, loss 5.57e-08 ("
    )
    assert analysis.finding.endswith("Removing them: accuracy 0.010, chance 0.009.")
    assert float(analysis.restricted.control.losses().min()) > 1  # even of a set that shares two frequencies


def test_restricted_loss_of_every_rule_is_shown(c113: tuple[PublishedRun, Analysis]) -> None:
    results = {result.keys.rule: result.restricted.scores.all.loss for result in c113[1].rules}
    assert list(results) == ["logits", "embedding", "neuron_logit_map", "neurons"]
    assert all(loss == pytest.approx(5.57e-8, rel=1e-2) for loss in results.values())


def test_mixer_of_c113(c113: tuple[PublishedRun, Analysis]) -> None:
    mixer = c113[1].mixer
    assert len(mixer.scores) == 8
    assert mixer.score([16, 30, 56]).all.loss == pytest.approx(5.56835e-8, rel=1e-5)
    assert mixer.score([]).all.accuracy == pytest.approx(1 / 113, abs=1e-9)
    assert [round(value, 3) for value in mixer.coefficients.values.tolist()] == [34.406, 22.894, 13.654]


def test_float32_logits_are_good_enough(c113: tuple[PublishedRun, Analysis]) -> None:
    run, analysis = c113
    with torch.no_grad():
        logits = run.transformer()(ModularAddition(113).tokens())[:, -1]
    single = analyse(logits, p=113)
    assert single.restricted.scores.all.loss == pytest.approx(analysis.restricted.scores.all.loss, rel=1e-4)


def test_an_even_modulus_with_its_last_frequency(published_folder: Callable[[str], Path]) -> None:
    """C118 uses frequency 59 = p / 2, which has no sine."""
    run = read_published_run(published_folder("C118_T_seed1"))
    analysis = analyse_network(run.transformer(), ModularAddition(118), run.split(118))
    published = json.loads((published_folder("C118_T_seed1") / "summary_metrics.json").read_text())
    assert analysis.frequencies == (10, 16, 19, 37, 59)
    assert analysis.verdict.found
    assert analysis.table()["loss.train"].value == pytest.approx(published["train_loss"], rel=1e-5)
    assert analysis.table()["logit_explained_variance"].value == pytest.approx(
        published["percent_logits_explained"], rel=1e-5
    )
    for k in (10, 16, 19, 37):
        assert float(analysis.fit.similarity.values[k - 1]) == pytest.approx(
            published[f"logit_freq_{k}_rep_trace_similarity"], rel=1e-5
        )
    assert float(analysis.fit.similarity.values[58]) == pytest.approx(
        published["logit_sign_rep_trace_similarity"], rel=1e-5
    )
    network = analysis.network
    assert network is not None
    assert network.neurons is not None
    assert {cluster.frequency for cluster in network.neurons.clusters} == {10, 16, 19, 37, 59}
    assert network.directions[-1].sine is None
    assert float(network.circles[59].values[:, 1].abs().max()) == 0


def test_another_architecture_through_its_logits(published_folder: Callable[[str], Path]) -> None:
    """C113_MLP is no transformer; its published similarities come out, and most harmonics (8, 25, 32, 34) stay below the cut."""
    folder = published_folder("C113_MLP_seed1")
    run, published = read_published_run(folder), json.loads((folder / "summary_metrics.json").read_text())
    split, network = run.split(113), run.mlp().double()
    logits, cache = network.run_with_cache(ModularAddition(113).tokens())
    analysis = analyse(logits.detach(), p=113, train=split.train, test=split.test)
    assert analysis.table()["loss.train"].value == pytest.approx(published["train_loss"], rel=1e-5)
    assert analysis.table()["loss.test"].value == pytest.approx(published["test_loss"], rel=1e-5)
    for k in range(1, 57):
        assert float(analysis.fit.similarity.values[k - 1]) == pytest.approx(
            published[f"logit_freq_{k}_rep_trace_similarity"], rel=1e-4, abs=1e-6
        )
    assert analysis.frequencies == (1, 4, 11, 16, 17, 22, 44, 50)
    neurons = neuron_frequencies(cache["hidden"], 113)
    assert {cluster.frequency for cluster in neurons.clusters} == {1, 4, 16, 17, 44, 50}
    assert analysis.verdict.found


def test_a_published_network_before_training_is_nothing(c113: tuple[PublishedRun, Analysis]) -> None:
    model = c113[0].transformer()
    model.init_weights()
    analysis = analyse_network(model, ModularAddition(113), c113[0].split(113))
    assert analysis.verdict.claim == "no algorithm found"


def test_views_do_not_touch_the_model(c113: tuple[PublishedRun, Analysis]) -> None:
    model = c113[0].transformer()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    view_network(model, ModularAddition(113).tokens(), 113)
    assert model.cfg.dtype == torch.float32
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


# ---- reading ------------------------------------------------------------------------------------------------------

CONFIG = {"group": "CyclicGroup", "group_parameter": 5, "model": "OneLayerMLP", "frac_train": 0.5, "seed": 1}
WEIGHTS = {"W_x": torch.zeros(5, 4), "W_y": torch.zeros(5, 4), "W": torch.zeros(8, 3), "W_U": torch.zeros(3, 5)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def folder(config: object, weights: object = WEIGHTS) -> Path:
        (tmp_path / "cfg.json").write_text(config if isinstance(config, str) else json.dumps(config))
        torch.save(weights, tmp_path / "model.pt")
        return tmp_path

    return folder


def test_a_run_is_read_as_it_was_stored(write: Callable[..., Path]) -> None:
    run = read_published_run(write(CONFIG, {**WEIGHTS, "x_embed": torch.zeros(1)}))
    assert (run.group, run.parameter, run.architecture, run.fraction, run.seed) == ("cyclic", 5, "mlp", 0.5, 1)
    assert sorted(run.weights) == ["W", "W_U", "W_x", "W_y"]
    assert run.mlp()(ModularAddition(5).tokens()).shape == (25, 5)
    assert len(run.split(5).train) == 12
    with pytest.raises(ArgumentError, match=r"is an mlp; use mlp\(\)"):
        run.transformer()


def test_old_names_of_the_embeddings_are_read(write: Callable[..., Path]) -> None:
    old = {"W_E_a": WEIGHTS["W_x"] + 1, "W_E_b": WEIGHTS["W_y"], "W": WEIGHTS["W"], "W_U": WEIGHTS["W_U"]}
    assert float(read_published_run(write(CONFIG, old)).mlp().W_x.detach().max()) == 1


def test_the_mlp_is_its_formula(write: Callable[..., Path]) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(weight.shape, generator=generator) for name, weight in WEIGHTS.items()}
    network = read_published_run(write(CONFIG, weights)).mlp().double()
    x, y = 2, 4
    both = torch.cat([weights["W_x"][x], weights["W_y"][y]]).double()
    expected = torch.relu(both @ weights["W"].double()) @ weights["W_U"].double()
    torch.testing.assert_close(network(ModularAddition(5).tokens())[x * 5 + y], expected)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({**CONFIG, "group": "__import__('os')"}, ConfigError, "group must be one of CyclicGroup, .*came"),
        (
            {**CONFIG, "model": "BilinearNet"},
            ConfigError,
            "model must be one of OneLayerMLP, Transformer; 'BilinearNet' came",
        ),
        ({**CONFIG, "surprise": 1}, ConfigError, r"unknown keys \['surprise'\]"),
        ({"group": "CyclicGroup"}, ConfigError, r"missing keys \['group_parameter', 'model', 'frac_train', 'seed'\]"),
        ([1], ConfigError, "must hold a JSON object; list came"),
        ("{", StoreError, "cannot be read as a configuration"),
    ],
)
def test_bad_configurations_are_refused(
    write: Callable[..., Path], config: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_published_run(write(config))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"W_x": WEIGHTS["W_x"]}, r"has the weights W_x, W_y, W, W_U \(mlp\).*; \{'W_x': \[5, 4\]\} came"),
        ({**WEIGHTS, "bias": torch.zeros(1)}, r"has the weights W_x, W_y, W, W_U \(mlp\).*'bias': \[1\]"),
        ({**WEIGHTS, "W": torch.zeros(7, 3)}, r"'W' must have shape \[8, 3\]; \[7, 3\]"),
        (
            {"U": WEIGHTS["W"], "V": WEIGHTS["W"], "W": WEIGHTS["W"].T},
            r"is said to be an MLP; its weights are \['U', 'V', 'W'\]",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    write: Callable[..., Path], weights: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_published_run(write(CONFIG, weights)).mlp()


def test_damaged_files_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    folder = write(CONFIG)
    with pytest.raises(StoreError, match="cannot be read as a configuration"):
        read_published_run(tmp_path / "nothing")
    whole = (folder / "model.pt").read_bytes()
    for damaged in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        (folder / "model.pt").write_bytes(damaged)
        with pytest.raises(StoreError, match="cannot be read as a state dict"):
            read_published_run(folder)
    (folder / "model.pt").unlink()
    with pytest.raises(StoreError, match="cannot be read as a state dict"):
        read_published_run(folder)
    torch.save([1], folder / "model.pt")
    with pytest.raises(StoreError, match="must hold tensors by name"):
        read_published_run(folder)


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this must never run",))


def test_a_pickle_with_code_in_it_is_not_run(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoreError, match="cannot be read as a state dict"):
        read_published_run(write(CONFIG, {"W_x": Harmful()}))
    assert capsys.readouterr().out == ""

"""Transformers of every shape, tables of measures, and runs with one frequency set for all of their steps."""

import json
import math
from typing import Any

import pytest
import torch

from refractor.base.errors import ArgumentError, ShapeError, UnknownNameError
from refractor.lab.analyse import analyse, analyse_network
from refractor.lab.analytic import cosine_logits
from refractor.lab.network import network_logits, view_network
from refractor.lab.network_measures import measure_view
from refractor.lab.pairs import pair_sets
from refractor.lab.progress import RunAnalysis, analyse_snapshots, measure_progress
from refractor.lab.sums import sum_logits
from refractor.lab.table import Measure, MeasureTable, write
from refractor.lab.trig_losses import trig_excluded_loss, trig_restricted_loss
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularAddition, ModularMultiplication, SumOfSquares
from refractor.tasks.splits import Split, split_rows

P = 13
TASK = ModularAddition(P)
SPLIT = split_rows(P * P, 0.4, 0)


def network(p: int = P, seed: int = 0, **fields: Any) -> HookedTransformer:
    base = {
        "n_layers": 1, "n_heads": 2, "d_model": 16, "d_head": 8, "d_mlp": 24, "d_vocab": p + 1, "d_vocab_out": p, "n_ctx": 3,
        "act_fn": "relu", "normalization_type": None, "seed": seed,
    }  # fmt: skip
    return HookedTransformer(HookedTransformerConfig(**{**base, **fields}))


# ---- the view of a network ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n_layers": 2},
        {"attn_only": True, "d_mlp": None, "act_fn": None},
        {"normalization_type": "LN", "act_fn": "gelu"},
        {"dtype": torch.float64},
        {"positional_embedding_type": None, "attention_dir": "bidirectional"},
    ],
)
def test_a_view_is_what_a_plain_run_shows(fields: dict[str, Any]) -> None:
    model = network(**fields)
    view = view_network(model, TASK.tokens(), P)
    with torch.no_grad():
        logits, cache = model.double().run_with_cache(TASK.tokens())
    torch.testing.assert_close(view.logits, logits[:, -1])
    torch.testing.assert_close(network_logits(model, TASK.tokens(), P), view.logits, atol=1e-12, rtol=1e-12)
    assert torch.equal(view.embedding, model.embed.W_E[:P])
    last = model.cfg.n_layers - 1
    for layer in range(model.cfg.n_layers):
        pattern = cache["pattern", layer][:, :, -1]
        torch.testing.assert_close(view.attention.values[layer].flatten(2).permute(2, 0, 1), pattern)
    if model.cfg.d_mlp is None:
        assert view.neurons is None
        assert view.neuron_logit_map is None
    else:
        assert view.neurons is not None
        torch.testing.assert_close(view.neurons, cache["post", last, "mlp"][:, -1])
        torch.testing.assert_close(view.neuron_logit_map, model.blocks[last].mlp.W_out @ model.unembed.W_U)
    assert view.weights.keys() == dict(model.named_parameters()).keys()


def test_a_view_is_made_in_float64_whatever_the_network_is() -> None:
    view = view_network(network(dtype=torch.bfloat16), TASK.tokens(), P)
    assert view.logits.dtype == torch.float64
    assert repr(view) == "NetworkView(p=13, attention=Labelled[layer=1, head=2, key_pos=3, a=13, b=13])"


def test_hooks_of_the_user_take_no_part_and_stay() -> None:
    model = network()
    plain = view_network(model, TASK.tokens(), P).logits
    model.add_hook("blocks.0.hook_mlp_out", lambda value, hook: value * 0)
    assert torch.equal(view_network(model, TASK.tokens(), P).logits, plain)
    with torch.no_grad():
        assert not torch.allclose(model(TASK.tokens())[:, -1].double(), plain, atol=1e-3)


def test_networks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ArgumentError, match="needs at least 13 tokens and exactly 13 outputs; d_vocab=12 and d_vocab_out=11"
    ):
        analyse_network(network(11), TASK)
    with pytest.raises(ArgumentError, match="d_vocab=14 and d_vocab_out=14 came"):
        analyse_network(network(d_vocab_out=14), TASK)
    with pytest.raises(ShapeError, match=r"tokens must have shape \[pairs=169, pos\]; \[168, 3\] came"):
        view_network(network(), TASK.tokens()[1:], P)
    with pytest.raises(ArgumentError, match="discrete_log_cube"):
        analyse_network(network(), ModularMultiplication(P))
    with pytest.raises(ArgumentError, match="operation must be one of addition, subtraction"):
        analyse_network(network(), SumOfSquares(P))
    with pytest.raises(ArgumentError, match="train must lie in"):
        analyse_network(network(), TASK, Split(torch.tensor([P * P]), torch.tensor([0])))
    broken = network()
    torch.nn.init.constant_(broken.unembed.W_U, math.nan)
    with pytest.raises(ArgumentError, match="logits must be finite"):
        analyse_network(broken, TASK)


# ---- the analysis of a network ------------------------------------------------------------------------------------


def test_all_measures_of_a_network_are_in_its_table() -> None:
    analysis = analyse_network(network(), TASK, SPLIT)
    names = [row.name for row in analysis.table()]
    assert len(names) == len(set(names))
    for name in (
        "verdict", "loss.all", "loss.train", "loss.test", "accuracy.test", "key_frequencies.logits", "key_frequencies.embedding",
        "key_frequencies.neuron_logit_map", "key_frequencies.neurons", "restricted_loss.all", "restricted_loss.train",
        "restricted_loss.test", "excluded_loss.all", "excluded_loss.train", "excluded_loss.test", "restricted_accuracy.all",
        "excluded_accuracy.test", "logit_explained_variance", "cosine_fit_loss", "gini.W_E", "gini.W_L", "map_residual.norm",
        "map_residual.energy", "neurons.above_cut", "sum_of_squared_weights",
    ):  # fmt: skip
        assert name in names
    k = analysis.frequencies[0]
    assert analysis.table()[f"excluded_loss.train.k={k}"].value == analysis.excluded.each[k].train.loss  # pyright: ignore[reportOptionalMemberAccess]
    assert analysis.table()["loss.all"].control == pytest.approx(math.log(P))
    assert repr(analysis).startswith("Analysis(p=13, {")
    assert "<table>" in analysis._repr_html_()


def test_measures_of_the_network_read_the_right_arrays() -> None:
    model = network()
    analysis = analyse_network(model, TASK, SPLIT)
    measures = analysis.network
    assert measures is not None
    weights = [weight.detach().double().square().sum() for weight in model.parameters()]
    assert measures.sum_of_squared_weights == pytest.approx(float(torch.stack(weights).sum()))
    assert set(measures.circles) == set(analysis.frequencies)
    assert measures.attention_frequencies.share.values.shape == (2,)  # one for each head
    assert measures.embedding_svd.values.values.shape == (P,)
    view = analysis.view
    assert view is not None
    again, rules = measure_view(view, analysis.frequencies, "addition")
    assert again.sum_of_squared_weights == measures.sum_of_squared_weights
    assert [rule.rule for rule in rules] == ["embedding", "neuron_logit_map", "neurons"]


def test_a_network_without_mlps_has_the_measures_that_apply() -> None:
    analysis = analyse_network(network(attn_only=True, d_mlp=None, act_fn=None), TASK, SPLIT)
    measures = analysis.network
    assert measures is not None
    assert measures.neurons is None
    assert measures.neuron_logit_map is None
    assert measures.directions == ()
    assert [result.keys.rule for result in analysis.rules] == ["logits", "embedding"]
    assert "neurons.above_cut" not in [row.name for row in analysis.table()]


def test_without_a_split_train_and_test_are_left_out() -> None:
    analysis = analyse_network(network(), TASK)
    assert analysis.scores.train is None
    assert not [row.name for row in analysis.table() if ".train" in row.name or ".test" in row.name]
    assert "on all pairs" in analysis.verdict.conditions[0].sentence


# ---- tables -------------------------------------------------------------------------------------------------------


def test_a_table_is_plain_data_for_programs() -> None:
    table = analyse(cosine_logits(P, {2: 9.0, 5: 9.0}), p=P).table()
    rows = json.loads(json.dumps(table.to_dicts(), allow_nan=False))
    assert [row["name"] for row in rows] == [row.name for row in table]
    by_name = {row["name"]: row for row in rows}
    assert by_name["key_frequencies.logits"]["value"] == [2, 5]
    assert by_name["verdict.answers"]["value"] == "passed"
    assert set(rows[0]) == {"name", "value", "control", "unit", "meaning"}


def test_values_that_json_cannot_hold_become_null() -> None:
    table = MeasureTable((Measure("a", math.inf, math.nan, "", "<b>"), Measure("b", None, None, "", "")))
    assert [(row["value"], row["control"]) for row in table.to_dicts()] == [(None, None), (None, None)]
    assert "&lt;b&gt;" in table._repr_html_()


def test_a_table_offers_near_names() -> None:
    table = analyse(torch.zeros(P, P, P), p=P).table()
    with pytest.raises(
        UnknownNameError, match=r"no measure is called 'restrictd_loss.all'\. Nearest: 'restricted_loss.all'"
    ):
        table["restrictd_loss.all"]
    assert str(table).splitlines()[0].split() == ["measure", "value", "control", "unit", "meaning"]
    assert len(str(table).splitlines()) == len(table) + 1
    assert write(0.5) == "0.5"
    assert write("word") == "word"
    assert write(7) == "7"


# ---- runs ---------------------------------------------------------------------------------------------------------

STEPS = [0, 10, 50, 200]
BIG = 59
BIG_TASK, BIG_SPLIT = ModularAddition(BIG), split_rows(BIG * BIG, 0.3, 0)


def stages() -> list[tuple[int, torch.Tensor]]:
    """A made-up run: noise, stored training pairs, then three frequencies that take over."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(BIG * BIG, BIG, dtype=torch.float64, generator=generator)
    stored = noise.clone()
    stored[BIG_SPLIT.train, BIG_TASK.labels()[BIG_SPLIT.train]] += 40
    stored = stored + 4 * noise
    circuit = cosine_logits(BIG, {3: 20.0, 7: 20.0, 22: 20.0}).reshape(BIG * BIG, BIG)
    parts = [(noise, 0.0), (stored, 0.0), (stored, 0.3), (0.2 * noise, 1.0)]
    return [(step, part + share * circuit) for step, (part, share) in zip(STEPS, parts, strict=True)]


@pytest.fixture(scope="module")
def run() -> RunAnalysis:
    return analyse_snapshots(stages(), BIG_TASK, BIG_SPLIT)


def test_the_frequency_set_of_a_run_is_that_of_its_last_snapshot(run: RunAnalysis) -> None:
    assert run.frequencies == (3, 7, 22) == run.last.frequencies
    assert run.steps == tuple(STEPS)
    pairs = pair_sets(BIG, BIG_SPLIT.train, BIG_SPLIT.test)
    for place, (_, logits) in enumerate(stages()):
        restricted = trig_restricted_loss(logits, [3, 7, 22], p=BIG, pairs=pairs, controls=0).scores
        excluded = trig_excluded_loss(logits, [3, 7, 22], p=BIG, pairs=pairs, controls=0).scores
        for name in ("all", "train", "test"):
            assert float(run.curves[f"restricted_loss.{name}"].values[place]) == restricted.on(name).loss  # pyright: ignore[reportOptionalMemberAccess]
            assert float(run.curves[f"excluded_loss.{name}"].values[place]) == excluded.on(name).loss  # pyright: ignore[reportOptionalMemberAccess]
    assert run.curves["loss.train"].along("step") == tuple(STEPS)


def test_phases_and_verdict_of_a_run(run: RunAnalysis) -> None:
    assert [phase.end for phase in run.phases] == [10, 50, 200]
    assert run.verdict.found
    assert repr(run).startswith("RunAnalysis(4 steps to 200, memorisation ends at step 10; circuit formation")


def test_a_run_cut_short_reaches_less_and_claims_nothing() -> None:
    early = analyse_snapshots(stages()[:2], BIG_TASK, BIG_SPLIT)
    assert early.verdict.claim == "no algorithm found"
    assert [phase.end for phase in early.phases] == [None, None, None]
    given = analyse_snapshots(stages()[:3], BIG_TASK, BIG_SPLIT, frequencies=[3, 7, 22])
    assert given.frequencies == (3, 7, 22)
    only = analyse_snapshots(stages()[:1], BIG_TASK, BIG_SPLIT)
    assert only.verdict.claim == "no algorithm found"
    assert [phase.end for phase in only.phases] == [None, None, None]


def test_a_run_without_held_out_pairs_has_no_test_curves() -> None:
    run = analyse_snapshots(stages(), BIG_TASK, split_rows(BIG * BIG, 1.0, 0))
    assert "loss.test" not in run.curves
    assert run.phases[1].end is run.phases[2].end is None
    assert "there are no test pairs" in run.phases[1].rule
    unknown = analyse_snapshots(stages(), BIG_TASK)
    assert "excluded_loss.train" not in unknown.curves
    assert "loss.all" in unknown.curves


def test_a_run_of_networks_has_curves_of_weights() -> None:
    run = analyse_snapshots([(0, network(seed=0)), (5, network(seed=1))], TASK, SPLIT)
    for place, seed in enumerate((0, 1)):
        measures = analyse_network(network(seed=seed), TASK, SPLIT).network
        assert measures is not None
        assert measures.neuron_logit_map is not None
        assert float(run.curves["sum_of_squared_weights"].values[place]) == measures.sum_of_squared_weights
        assert float(run.curves["gini.W_E"].values[place]) == measures.embedding.gini
        assert float(run.curves["gini.W_L"].values[place]) == measures.neuron_logit_map.gini
    mixed = analyse_snapshots([(0, network()), (5, torch.zeros(P, P, P))], TASK, SPLIT)
    assert "sum_of_squared_weights" not in mixed.curves  # half a curve is none


def test_progress_is_the_two_losses_and_the_network_itself() -> None:
    logits = stages()[-1][1]
    progress = measure_progress(sum_logits(logits, BIG), [3, 7, 22])
    assert progress.scores == analyse(logits, p=BIG).scores
    assert progress.restricted.all.accuracy == 1
    assert progress.excluded.train is None


def test_bad_runs_are_named() -> None:
    with pytest.raises(ArgumentError, match="snapshots must have at least one; none came"):
        analyse_snapshots([], TASK)
    logits = torch.zeros(P, P, P)
    with pytest.raises(ArgumentError, match=r"in order of increasing steps; \(5, 5\) came"):
        analyse_snapshots([(5, logits), (5, logits)], TASK)
    with pytest.raises(ShapeError, match="logits must have shape"):
        analyse_snapshots([(0, torch.zeros(3, 3, 3)), (1, logits)], TASK)
    with pytest.raises(ArgumentError, match="frequencies must be integers from 1 to 6"):
        analyse_snapshots([(0, logits)], TASK, frequencies=[7])

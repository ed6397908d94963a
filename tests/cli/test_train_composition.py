"""`refractor train composition`: every network and operation, and options that are missing or mean nothing."""

from pathlib import Path

import pytest

from refractor.cli import main
from refractor.models import HookedTransformerConfig
from refractor.models.pair_networks import PairNetworkConfig
from refractor.tasks import GroupComposition, ModularAddition
from refractor.training import Run, open_run

SHORT = ["--steps", "4", "--fraction", "0.7", "--quiet", "--split-seed", "3"]
NETWORKS = {
    "transformer": ["--d-model", "8", "--n-heads", "2", "--d-mlp", "8"],
    "mlp": ["--d-embed", "6", "--d-hidden", "5"],
    "bilinear": ["--d-embed", "6"],
    "quadratic": ["--d-hidden", "5"],
}


def trained(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    out = tmp_path / "run"
    assert main.run(["train", *arguments, *SHORT, "--out", str(out)]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip() == str(out)
    return open_run(out)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str], network: str) -> None:
    arguments = ["composition", "--group", "S3", "--network", network, *NETWORKS[network], "--seed", "7"]
    run = trained(tmp_path, capsys, *arguments)
    assert run.task == GroupComposition("S3")
    assert (run.steps[-1], run.training.fraction, run.training.split_seed) == (4, 0.7, 3)
    assert run.model_config.seed == 7
    assert run.model_config.model_name == "composition-S3"
    if network == "transformer":
        assert isinstance(run.model_config, HookedTransformerConfig)
        assert (run.model_config.d_head, run.model_config.d_vocab) == (4, 7)
    else:
        assert isinstance(run.model_config, PairNetworkConfig)
        widths = {"mlp": (6, 5), "bilinear": (6, None), "quadratic": (None, 5)}[network]
        assert (run.model_config.architecture, run.model_config.d_embed, run.model_config.d_hidden) == (
            network,
            *widths,
        )
    assert trained(tmp_path, capsys, *arguments).steps == run.steps


def test_all_options_of_the_task_and_of_the_mlp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(
        tmp_path, capsys, "composition", "--group", "S4", "--operation", "quotient", "--ordering", "sympy-coset-rank",
        "--network", "mlp", *NETWORKS["mlp"], "--hidden-layers", "2", "--biases", "--shared",
    )  # fmt: skip
    assert run.task == GroupComposition("S4", "quotient", "sympy-coset-rank")
    assert isinstance(run.model_config, PairNetworkConfig)
    assert (run.model_config.hidden_layers, run.model_config.biases, run.model_config.shared) == (2, True, True)
    assert run.training.train_biases
    weights = run.load_model().state_dict()
    assert weights["b_U"].abs().max() > 0


def test_products_of_three_and_modular_tasks_with_an_mlp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, capsys, "composition", "--group", "C3", "--factors", "3", *NETWORKS["transformer"])
    assert run.task == GroupComposition("C3", factors=3)
    run = trained(tmp_path / "other", capsys, "modular-addition", "--p", "5", "--network", "mlp", *NETWORKS["mlp"])
    assert run.task == ModularAddition(5)
    assert run.model_config.model_name == "modular-addition-5"


def test_widths_that_are_left_out_are_the_published_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, capsys, "composition", "--group", "S3", "--network", "mlp")
    assert isinstance(run.model_config, PairNetworkConfig)
    assert (run.model_config.d_embed, run.model_config.d_hidden, run.training.train_biases) == (256, 128, False)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["composition"], "Missing option '--group': composition needs the name of a group, such as S5."),
        (["modular-addition"], "Missing option '--p': modular-addition needs its modulus."),
        (["compositon", "--group", "S3"], "Nearest: 'composition'"),
        (["composition", "--group", "T3"], "no group is called 'T3'"),
        (
            ["composition", "--group", "S3", "--p", "5"],
            "--p is no option of composition, which has --group, --operation",
        ),
        (["modular-addition", "--p", "5", "--group", "S3"], "--group is no option of modular-addition, which has --p."),
        (["composition", "--group", "S3", "--operation", "prodct"], "Nearest: 'product'"),
        (["composition", "--group", "S3", "--ordering", "sympy"], "sympy-coset-rank"),
        (["composition", "--group", "S3", "--network", "mpl"], "no network is called 'mpl'. Nearest: 'mlp'"),
        (
            ["composition", "--group", "S3", "--network", "mlp", "--d-model", "8"],
            "--d-model is no option of --network mlp, which has --d-embed, --d-hidden, --hidden-layers, --biases, --shared.",
        ),
        (["composition", "--group", "S3", "--d-embed", "8"], "--d-embed is no option of --network transformer"),
        (
            ["composition", "--group", "S3", "--network", "quadratic", "--shared"],
            "--shared is no option of --network quad",
        ),
        (["composition", "--group", "S3", "--network", "mlp", "--train-biases"], "--train-biases is no option"),
        (
            ["composition", "--group", "S3", "--network", "mlp", "--d-embed", "0"],
            "d_embed must be an integer of at least 1",
        ),
        (["composition", "--group", "S3", "--network", "mlp", "--factors", "3"], "reads two. Use a transformer."),
    ],
)
def test_what_is_missing_or_means_nothing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main.run(["train", *arguments, *SHORT, "--out", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr()
    assert text in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_help_says_what_each_option_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in (
        "--group",
        "--network",
        "--operation",
        "--ordering",
        "sympy-coset-rank",
        "--p",
        "refractor train composition",
    ):
        assert word in text

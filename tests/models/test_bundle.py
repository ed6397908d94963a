"""What comes with the package: it is all there, it is what it is said to be, and it can be asked for by name."""

import itertools
import math
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from refractor.base.errors import ArgumentError, CheckpointError, StoreError, UnknownNameError
from refractor.base.numerics import cross_entropy
from refractor.base.store import RunFolder, digest, read_json, write_json
from refractor.checkpoints import load
from refractor.lab import Source, analyse_network, load_network
from refractor.models import HookedTransformer
from refractor.models.bundle import BUNDLED, bundled_folder, bundled_names
from refractor.models.pair_networks import OneLayerMLP, build_pair_network
from refractor.tasks import GroupComposition
from refractor.training import Run, open_run

NAME = "modular-addition-113"
TRANSFORMERS = [name for name in bundled_names() if name.startswith(NAME)]
COMPOSITIONS = {"composition-S4": 24, "composition-S5": 120}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def run() -> Run:
    return open_run(bundled_folder(NAME))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled_folder(NAME), tmp_path / "copy"))


@pytest.mark.parametrize(("network", "most"), [(NAME, 11), ("composition-S4", 2.5), ("composition-S5", 4.5)])
def test_the_package_stays_small(network: str, most: float) -> None:
    files = [file for folder in BUNDLED.glob(f"{network}*") for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= most * MEGABYTE
    assert {file.suffix for file in files} == {".json", ".safetensors"}


def test_every_folder_of_the_bundle_has_a_name() -> None:
    assert {folder.name for folder in BUNDLED.iterdir()} == {bundled_folder(name).name for name in bundled_names()}


def test_every_name_can_be_loaded_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert set(bundled_names()) == {
        network + control
        for network in (NAME, *COMPOSITIONS)
        for control in ("", "/step-0", "/memorised", "/random-labels")
    }
    for name in TRANSFORMERS:
        model = HookedTransformer.from_pretrained(name)
        assert model(torch.tensor([[1, 2, 113]])).shape == (1, 3, 113)
        assert (model.cfg.d_model, model.cfg.d_mlp, model.cfg.n_heads, model.cfg.act_fn) == (128, 512, 4, "relu")
        assert model.cfg.normalization_type is None
        assert all(bool((bias == 0).all()) for key, bias in model.named_parameters() if ".b_" in key)


def test_the_network_answers_what_it_was_never_shown(run: Run) -> None:
    tokens, labels = run.task.tokens(), run.task.labels()
    logits = run.load_model()(tokens)[:, -1]
    losses = cross_entropy(logits, labels)
    assert (logits.argmax(-1) == labels).all()
    assert losses[run.split.test].mean() < 1e-6
    kept = run.provenance["losses"][str(run.steps[-1])]
    assert losses[run.split.test].mean().item() == pytest.approx(kept["test_loss"], rel=1e-4)
    assert losses[run.split.train].mean().item() == pytest.approx(kept["train_loss"], rel=1e-4)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_only_the_trained_network_is_said_to_know_the_algorithm(run: Run, name: str) -> None:
    verdict = analyse_network(*load_network(name).modular(), run.split).verdict
    assert verdict.found == (name == NAME)
    assert (verdict.claim == "no algorithm found") == (name != NAME)


def test_controls_are_what_they_are_called(run: Run) -> None:
    tokens, labels = run.task.tokens(), run.task.labels()
    train, test = run.split.train, run.split.test
    accuracy = {
        name: {
            part: (load(f"{NAME}/{name}")(tokens[rows])[:, -1].argmax(-1) == labels[rows]).double().mean().item()
            for part, rows in (("train", train), ("test", test))
        }
        for name in ("step-0", "memorised", "random-labels")
    }
    assert accuracy["step-0"]["train"] < 0.05
    assert accuracy["memorised"]["train"] == 1
    assert accuracy["memorised"]["test"] < 0.2
    assert accuracy["random-labels"]["train"] < 0.05
    control = open_run(bundled_folder(f"{NAME}/random-labels"))
    shuffled = labels[train][torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
    assert control.training.shuffle_labels == 0
    assert (load(f"{NAME}/random-labels")(tokens[train])[:, -1].argmax(-1) == shuffled).all()


def test_step_0_is_what_the_seed_draws(run: Run) -> None:
    fresh = HookedTransformer(run.model_config.to_dict())
    for name, weight in load(f"{NAME}@0").named_parameters():
        assert torch.equal(weight, fresh.get_parameter(name)), name


def test_snapshots_and_curves_resolve_every_phase(run: Run) -> None:
    phases = run.provenance["phases"]
    ends = [phases[name] for name in ("memorisation", "circuit formation", "clean-up")]
    assert len(run.steps) == 8
    assert run.steps[0] == 0
    assert all(end is not None for end in ends)
    assert ends == sorted(ends)
    edges = [0, *ends, run.steps[-1]]
    for begin, end in itertools.pairwise(edges):
        assert any(begin <= step <= end for step in run.steps)
    for name in ("step", "measure_step"):
        steps = run.curves[name]
        assert len(steps) >= 150
        assert (steps.diff() > 0).all()
        assert steps[-1] == run.steps[-1]
        for begin, end in itertools.pairwise(edges[:-1]):
            assert ((steps >= begin) & (steps <= end)).sum() >= 10, f"{name} from {begin} to {end}"
    for name, curve in run.curves.items():
        wanted = "measure_step" if name.startswith("measure") else "step"
        assert len(curve) == len(run.curves[wanted]), name
        assert curve.isfinite().all(), name
    assert {"measure/restricted_loss.test", "measure/excluded_loss.train", "measure/sum_of_squared_weights"} <= set(
        run.curves
    )


def test_provenance_is_complete_and_true(run: Run) -> None:
    facts = run.provenance
    assert {"began", "bundled", "torch", "threads", "machine", "python", "script", "updates", "losses"} <= set(facts)
    assert (Path(__file__).parents[2] / facts["script"]).exists()
    assert set(facts["sha256_of_tensors"]) == {str(step) for step in run.steps}
    for step in run.steps:
        assert digest(run.load_model(step).state_dict()) == facts["sha256_of_tensors"][str(step)]
    assert facts["steps"] == {"step_0": 0, "memorised": facts["steps"]["memorised"], "last": run.steps[-1]}


def test_a_snapshot_is_found_by_step_and_by_place(run: Run) -> None:
    second = run.steps[1]
    by_name, by_value, by_place = (
        load(f"{NAME}@{second}"),
        load(NAME, checkpoint_value=second),
        load(NAME, checkpoint_index=1),
    )
    assert torch.equal(by_name.W_E, by_value.W_E)
    assert torch.equal(by_name.W_E, by_place.W_E)
    assert torch.equal(load(NAME).W_E, load(NAME, checkpoint_index=-1).W_E)
    assert not torch.equal(load(NAME).W_E, by_name.W_E)


def test_a_folder_is_loaded_by_its_path(copy: Path) -> None:
    assert torch.equal(load(copy).W_E, load(NAME).W_E)
    assert torch.equal(load(str(copy), checkpoint_index=0).W_E, load(f"{NAME}@0").W_E)


def test_type_and_device_can_be_chosen() -> None:
    model = load(NAME, dtype="float64", device="cpu")
    assert model.W_E.dtype == torch.float64
    assert torch.equal(model.W_E, load(NAME).W_E.double())
    with pytest.raises(ArgumentError, match=r"device must be one that torch knows, such as 'cpu'; 'gpu' came"):
        load(NAME, device="gpu")
    with pytest.raises(ArgumentError, match=r"dtype must be one of .*; 'int7' came"):
        load(NAME, dtype="int7")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("modular-adition-113", r"no model is called 'modular-adition-113'. Nearest: 'modular-addition-113'"),
        ("modular-addition-59", r"no model is called 'modular-addition-59'. Nearest: 'modular-addition-113'"),
        ("gpt9", r"no model is called 'gpt9'. Nearest: 'gpt2'.* OWNER/NAME; a folder is named by its path"),
    ],
)
def test_an_unknown_name_offers_the_nearest(name: str, text: str) -> None:
    with pytest.raises(UnknownNameError, match=text):
        load(name)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config.json.* a run of ours has run.json"):
        load(tmp_path)
    with pytest.raises(UnknownNameError, match="no bundled network is called 'x'"):
        bundled_folder("x")


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        (f"{NAME}@3", {}, "there is no snapshot of step 3; there are 0, "),
        (f"{NAME}@last", {}, "should end with @ and a step, such as modular-addition-113@0; 'last' came"),
        (f"{NAME}@0", {"checkpoint_value": 5}, "is step 0, but checkpoint_value=5 came too"),
        (f"{NAME}@0", {"checkpoint_index": 0}, "not both"),
        (NAME, {"checkpoint_index": 8}, "checkpoint_index must be below 8, the number of snapshots; 8 came"),
        (f"{NAME}/step-0", {"checkpoint_value": 100}, "is step 0, but checkpoint_value=100 came too"),
    ],
)
def test_a_snapshot_that_does_not_exist_is_refused(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        load(name, **options)


def test_damaged_and_swapped_files_are_refused(copy: Path, run: Run) -> None:
    folder = RunFolder(copy)
    last = folder.snapshot_path(run.steps[-1])
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="cannot be read, it is truncated"):
        load(copy)
    last.write_bytes(folder.snapshot_path(0).read_bytes())
    with pytest.raises(StoreError, match=r"is the snapshot of step 0, not the snapshot of step"):
        load(copy)
    last.write_bytes(RunFolder(bundled_folder(f"{NAME}/random-labels")).path.glob("**/step-*").__next__().read_bytes())
    with pytest.raises(StoreError, match="belongs to another run"):
        load(copy)


def test_weights_of_another_network_are_refused_by_name(copy: Path) -> None:
    described = read_json(copy / "run.json")
    other = RunFolder(copy.parent / "other")
    for change, text in (
        ({"d_mlp": 256}, "W_in"),
        ({"attn_only": True, "d_mlp": None}, "left over"),
        ({"n_layers": 2}, "missing"),
    ):
        write_json(other.path / "run.json", {**described, "model": described["model"] | change})
        other.write_snapshot(0, load(copy, checkpoint_value=0).state_dict())
        with pytest.raises(CheckpointError, match=f"do not fit the configuration.*{text}"):
            load(other.path)
    write_json(other.path / "run.json", {**described, "model": described["model"] | {"d_mpl": 3}})
    with pytest.raises(ArgumentError, match=r"'d_mpl'.*d_mlp"):
        load(other.path)
    write_json(other.path / "run.json", {"format": 1})
    with pytest.raises(CheckpointError, match="does not say which network this is"):
        load(other.path)


def test_losses_of_the_chance_level_frame_the_run(run: Run) -> None:
    assert run.curves["test_loss"][0].item() == pytest.approx(math.log(113), rel=0.02)
    assert run.curves["test_loss"].max() > 10 > 1e-6 > run.curves["test_loss"][-1]


# Networks that multiply permutations


@pytest.fixture(scope="module", params=COMPOSITIONS)
def composition(request: pytest.FixtureRequest) -> Source:
    return load_network(request.param)


def accuracies(source: Source) -> dict[str, float]:
    """Shares of right answers among the pairs trained on and held out."""
    with torch.no_grad():
        right = source.model(source.task.tokens()).argmax(-1) == source.task.labels()
    return {
        part: right[rows].double().mean().item()
        for part, rows in (("train", source.split.train), ("test", source.split.test))
    }


def test_the_compositions_are_the_published_mlp_in_our_order_of_elements(composition: Source) -> None:
    task, model = composition.task, composition.model
    assert isinstance(task, GroupComposition)
    assert isinstance(model, OneLayerMLP)
    assert (task.operation, task.factors, task.ordering, task.n) == (
        "product",
        2,
        "canonical",
        COMPOSITIONS[composition.name],
    )
    assert (model.cfg.d_embed, model.cfg.d_hidden, model.cfg.biases, model.cfg.shared) == (256, 128, False, False)


def test_the_compositions_answer_what_they_were_never_shown(composition: Source) -> None:
    run = composition.our_run()
    assert accuracies(composition) == {"train": 1.0, "test": 1.0}
    with torch.no_grad():
        losses = cross_entropy(composition.model(composition.task.tokens()), composition.task.labels())
    kept = run.provenance["losses"][str(composition.step)]
    assert losses[run.split.train].mean().item() == pytest.approx(kept["train_loss"], rel=1e-4)
    assert losses[run.split.test].mean().item() == pytest.approx(kept["test_loss"], rel=1e-4)
    assert kept["test_loss"] < 1e-3


def test_controls_of_the_compositions_are_what_they_are_called(composition: Source) -> None:
    name, n = composition.name, composition.task.n
    chance = 5 / n
    start, memorised, shuffled = (load_network(f"{name}/{kind}") for kind in ("step-0", "memorised", "random-labels"))
    assert max(accuracies(start).values()) < chance
    assert accuracies(memorised)["train"] == 1
    assert accuracies(memorised)["test"] < chance
    assert max(accuracies(shuffled).values()) < chance
    train, labels = shuffled.split.train, shuffled.task.labels()
    asked = labels[train][torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
    assert shuffled.our_run().training.shuffle_labels == 0
    assert (shuffled.model(shuffled.task.tokens())[train].argmax(-1) == asked).all()
    fresh = build_pair_network(composition.our_run().model_config.to_dict())
    for key, weight in start.model.named_parameters():
        assert torch.equal(weight, fresh.get_parameter(key)), key


def test_provenance_of_the_compositions_is_complete_and_true(composition: Source) -> None:
    run = composition.our_run()
    facts, named = run.provenance, run.provenance["steps"]
    assert (Path(__file__).parents[2] / facts["script"]).exists()
    assert {"began", "bundled", "torch", "threads", "machine", "python", "updates"} <= set(facts)
    for step in run.steps:
        assert digest(run.load_model(step).state_dict()) == facts["sha256_of_tensors"][str(step)]
    assert len(run.steps) == 6
    assert 0 == named["step_0"] < named["memorised"] < named["generalised"] < named["last"] == run.steps[-1]
    assert set(named.values()) <= set(run.steps)
    at = {name: float(facts["losses"][str(step)]["test_accuracy"]) for name, step in named.items()}
    assert at["memorised"] < 0.2 < 0.99 <= at["generalised"]
    for name, curve in run.curves.items():
        assert curve.isfinite().all()
        assert len(curve) == len(run.curves["measure_step" if name.startswith("measure") else "step"])
    assert len(run.curves["step"]) >= 150
    assert len(run.curves["measure_step"]) >= 80
    model, task = composition.composition()
    assert facts["irreps_of_measures"] == list(analyse_network(model, task, controls=0).irreps)


@pytest.mark.parametrize("name", [*COMPOSITIONS, "composition-S4/step-0", "composition-S4@0"])
def test_a_network_that_is_no_transformer_says_what_to_call(name: str) -> None:
    with pytest.raises(
        CheckpointError,
        match=rf"'{name}' is no transformer but .*'mlp'.* Use refractor.lab.load_network\('{name}'\).model",
    ):
        HookedTransformer.from_pretrained(name)
    with pytest.raises(CheckpointError, match="is no transformer"):
        load(bundled_folder(name))
    assert load_network(bundled_folder(name)).task == load_network(name).task

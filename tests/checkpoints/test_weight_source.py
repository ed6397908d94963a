"""Weights asked for a layer at a time: from a model, and from files that are never loaded whole."""

from pathlib import Path

import pytest
import tiny_families as tiny
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from refractor import HookedTransformer
from refractor.base.errors import ArgumentError, CheckpointError, UnknownNameError
from refractor.checkpoints import stream
from refractor.models.weight_source import ModelWeights, WeightSource

NAMES = ("gpt2", "llama", "mixtral", "gemma2", "opt_350m", "olmo2", "falcon_40b")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("streamed")
    for name in NAMES:
        tiny.save(name, place / name, max_shard_size="60KB" if name == "llama" else "1GB")
    return {name: place / name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_files_and_model_give_the_same_weights(name: str, folders: dict[str, Path]) -> None:
    model = HookedTransformer.from_pretrained_no_processing(str(folders[name]))
    sources: list[WeightSource] = [ModelWeights(model), stream(folders[name])]
    for source in sources:
        assert source.cfg.n_layers == model.cfg.n_layers
        state = dict(source.ends())
        for layer in source.layers():
            state |= {f"blocks.{layer.layer}.{key}": tensor for key, tensor in layer.tensors.items()}
        assert set(state) == set(model.state_dict())
        for key, tensor in model.state_dict().items():
            assert torch.equal(state[key], tensor), key
        assert torch.equal(source.W_E, model.W_E)
        assert torch.equal(source.W_U, model.W_U)
        assert torch.equal(source.b_U, model.b_U)
        last = source.layer(-1)
        assert last.layer == model.cfg.n_layers - 1
        torch.testing.assert_close(last.OV.dense(), model.OV[-1].dense())
        torch.testing.assert_close(last.QK.dense(), model.QK[-1].dense())
        assert (last.OV.note, last.QK.note) == (model.OV.note, model.QK.note)
        if name in ("gpt2", "opt_350m"):
            assert source.W_pos is not None
            assert torch.equal(source.W_pos, model.W_pos)
        else:
            assert source.W_pos is None


def test_what_is_not_there_is_named(folders: dict[str, Path]) -> None:
    source = stream(folders["llama"])
    with pytest.raises(ArgumentError, match=r"there is no layer 3: the network has 3 layers"):
        source.layer(3)
    with pytest.raises(UnknownNameError, match=r"no weight of layer 1 is called 'attn.W_K'. Nearest: .*'attn._W_K'"):
        source.layer(1)["attn.W_K"]
    assert source.layer(1).of_kv_heads("W_K").shape == (2, 64, 24)


def test_files_that_do_not_fit_are_refused_before_anything_is_read(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["gpt2"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = (tmp_path / "config.json").read_text().replace('"n_embd": 64', '"n_embd": 68')
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=r"has shape \[128, 64\]; its configuration calls for \[128, 68\]"):
        stream(tmp_path)


class Held(TorchDispatchMode):
    """Adds up the memory of tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "cpu":
            inputs = {each.untyped_storage().data_ptr() for each in args if isinstance(each, torch.Tensor)}
            if out.untyped_storage().data_ptr() not in inputs:
                self.made += out.untyped_storage().nbytes()
        return out


def test_one_layer_reads_one_layer(folders: dict[str, Path]) -> None:
    source = stream(folders["gpt2"])
    with Held() as held:
        layer = source.layer(1)
    size = sum(tensor.numel() * tensor.element_size() for tensor in layer.tensors.values())
    whole = sum(
        p.numel() * 4 for p in HookedTransformer.from_pretrained_no_processing(str(folders["gpt2"])).parameters()
    )
    assert size < whole / 3
    assert size <= held.made <= 1.6 * size  # the fused queries, keys and values are held twice for a moment


def test_half_precision_is_read_without_a_wider_copy(tmp_path: Path) -> None:
    tiny.save("llama", tmp_path, dtype=torch.bfloat16)
    weights = sum(p.numel() for p in tiny.build("llama").parameters())
    with Held() as held:
        model = HookedTransformer.from_pretrained_no_processing(str(tmp_path), dtype="bfloat16")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    biases = sum(p.numel() for name, p in model.named_parameters() if ".b_" in name or "._b_" in name)
    assert held.made <= 2 * (weights + biases) + 20_000  # bytes: two for each number, and one number per tensor's check

"""The helper names of the modular addition notebook: replace its imports from `src` by one from here.

from refractor.compat.notebooks.modular_addition import const, load_model, make_dataset_and_labels
from refractor.compat.notebooks.modular_addition import make_fourier_basis, plot
"""

from pathlib import Path
from pickle import UnpicklingError  # what a damaged file raises; nothing is unpickled

import torch
from jaxtyping import Float, Int
from torch import Tensor

import refractor.plots as plot
from refractor.base.errors import CheckpointError
from refractor.checkpoints import load
from refractor.compat.notebooks import modular_addition_const as const
from refractor.lab import fourier_basis
from refractor.models import HookedTransformer, HookedTransformerConfig
from refractor.tasks import ModularAddition

__all__ = ["const", "load_model", "make_dataset_and_labels", "make_fourier_basis", "plot"]


def load_model(path: str | Path, mod: int, device: torch.device | str = "cpu") -> HookedTransformer:
    """Load a one-layer transformer for addition modulo `mod`.

    Args:
        path: a bundled name (`const.MODEL_SAVE_PATH` is one), a run folder, or a file of weights that the notebook's
            own training saved with `torch.save(model.state_dict(), path)`.
        mod: the modulus; the network must have `mod + 1` tokens and `mod` answers.
        device: where the weights go.

    Raises:
        CheckpointError: the path does not exist, is no file of weights, or the network is for another modulus.

    >>> load_model("modular-addition-113", mod=113).cfg.d_vocab
    114

    """
    model = _from_weights(Path(path), mod, device) if Path(path).is_file() else load(path, device=device)
    if (model.cfg.d_vocab, model.cfg.d_vocab_out) != (mod + 1, mod):
        raise CheckpointError(
            f"mod={mod} needs {mod + 1} tokens and {mod} answers; {str(path)!r} has d_vocab={model.cfg.d_vocab} and "
            f"d_vocab_out={model.cfg.d_vocab_out}."
        )
    return model


def make_dataset_and_labels(
    p: int, device: torch.device | str = "cpu"
) -> tuple[Int[Tensor, "pairs n_ctx"], Int[Tensor, " pairs"]]:
    """Return all p² questions [a, b, =], a-major, and their answers (a + b) mod p.

    Raises:
        ArgumentError: p is below 2.

    """
    task = ModularAddition(p)
    return task.tokens().to(device), task.labels().to(device)


def make_fourier_basis(base: int, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "component a"], list[str]]:
    """Return the orthonormal Fourier basis of functions on 0 … base - 1, one in a row, and the names of the rows.

    The sine of each frequency comes before its cosine, as in the notebook. float32.

    Raises:
        ArgumentError: base is below 2.

    """
    basis = fourier_basis(base, order="sin_first")
    return basis.rows.float().to(device), list(basis.names)


def _from_weights(path: Path, mod: int, device: torch.device | str) -> HookedTransformer:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise CheckpointError(f"{path} is no file of weights that can be read safely: {error}") from error
    needed = ("embed.W_E", "pos_embed.W_pos", "blocks.0.attn.W_Q", "blocks.0.mlp.W_in", "unembed.W_U")
    if not isinstance(state, dict) or any(not isinstance(state.get(name), Tensor) for name in needed):
        raise CheckpointError(f"{path} must hold the state dict of a one-layer transformer, with {', '.join(needed)}.")
    heads, d_model, d_head = state["blocks.0.attn.W_Q"].shape
    cfg = HookedTransformerConfig(
        n_layers=1,
        d_model=d_model,
        n_ctx=state["pos_embed.W_pos"].shape[0],
        d_head=d_head,
        n_heads=heads,
        d_mlp=state["blocks.0.mlp.W_in"].shape[1],
        d_vocab=state["embed.W_E"].shape[0],
        d_vocab_out=state["unembed.W_U"].shape[1],
        act_fn="relu",
        normalization_type=None,
        init_weights=False,
        device=device,
    )
    model = HookedTransformer(cfg)
    model.load_state_dict(state)
    return model

"""Strict loading of weights, those written by older tools included."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from refractor.base.errors import CheckpointError, nearest

OLD_BUFFERS = re.compile(r"blocks\.\d+\.attn\.(mask|IGNORE|rotary_sin|rotary_cos)")
"""Buffers that older tools stored beside the weights: the causal mask, the value written into it, and the tables of
rotary positions. All follow from the configuration here, so they are left out."""

NEW_BIASES = re.compile(r"blocks\.\d+\.mlp\.b_gate")
"""Biases that older tools did not have: zero where they are missing."""


def check_state(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` without the buffers of older tools, if it fits `module` exactly.

    Raises:
        CheckpointError: a tensor is missing, left over, of another shape, or complex; the message names it.

    """
    wanted = dict(module.state_dict())
    given = {name: tensor for name, tensor in state.items() if not OLD_BUFFERS.fullmatch(name)}
    absent = [name for name in wanted if NEW_BIASES.fullmatch(name) and name not in given]
    given |= {name: torch.zeros_like(wanted[name]) for name in absent}
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    if missing or extra:
        parts = []
        if missing:
            parts.append(f"{len(missing)} tensors are missing, the first is {missing[0]!r}")
        if extra:
            near = nearest(extra[0], wanted, 1)
            parts.append(
                f"{len(extra)} are left over, the first is {extra[0]!r}" + (f" (near {near[0]!r})" if near else "")
            )
        raise CheckpointError(f"the weights do not fit the configuration: {'; '.join(parts)}.")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape or given[name].is_complex():
            raise CheckpointError(
                f"the weights do not fit the configuration: {name!r} must have shape {list(tensor.shape)}; "
                f"{list(given[name].shape)} of {given[name].dtype} came."
            )
    return given


def is_tied_in(state: Mapping[str, Tensor]) -> bool:
    """Whether `state` leaves a tied network tied: its `W_U` is the transpose of its `W_E`, or it has neither."""
    W_E, W_U = state.get("embed.W_E"), state.get("unembed.W_U")
    if W_E is None or W_U is None:
        return W_E is W_U
    if (W_E.shape, W_E.dtype, W_E.device) != (W_U.T.shape, W_U.dtype, W_U.device):
        return False
    same_memory = W_E.data_ptr() == W_U.data_ptr() and W_E.stride() == W_U.T.stride()
    return same_memory or torch.equal(W_E, W_U.T)

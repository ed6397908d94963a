"""Strict loading of weights, those written by older tools included."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from refractor.base.errors import CheckpointError, nearest

OLD_BUFFERS = re.compile(r"blocks\.\d+\.attn\.(mask|IGNORE)")
"""Buffers that older tools stored beside the weights: the causal mask and the value written into it. Both follow from
the configuration here, so they are left out."""


def check_state(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` without the buffers of older tools, if it fits `module` exactly.

    Raises:
        CheckpointError: a tensor is missing, left over, of another shape, or complex; the message names it.

    """
    wanted = dict(module.state_dict())
    given = {name: tensor for name, tensor in state.items() if not OLD_BUFFERS.fullmatch(name)}
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

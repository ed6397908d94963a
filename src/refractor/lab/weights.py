"""The size of a network's weights."""

from collections.abc import Mapping

from torch import Tensor


def sum_of_squared_weights(weights: Mapping[str, Tensor]) -> float:
    """Return the sum of squares of all floating-point tensors, in float64: what weight decay pulls down.

    Args:
        weights: tensors by name, e.g. `dict(model.named_parameters())`. Leave buffers and copies out.

    >>> import torch
    >>> sum_of_squared_weights({"w": torch.tensor([3.0, 4.0])})
    25.0

    """
    return float(
        sum(float(w.detach().cpu().double().square().sum()) for w in weights.values() if w.is_floating_point())
    )

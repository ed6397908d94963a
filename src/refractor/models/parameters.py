"""Parameters: how they are laid out in memory, and how they are drawn."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from refractor.models.config import HookedTransformerConfig


def new_parameter(cfg: HookedTransformerConfig, *shape: int, fill: float = 0.0) -> nn.Parameter:
    """Return a parameter of this shape, filled with a constant."""
    if torch.device(cfg.device).type == "meta":  # has no numbers; filling it would load a compiler
        return nn.Parameter(torch.empty(shape, dtype=cfg.torch_dtype, device="meta"))
    return nn.Parameter(torch.full(shape, fill, dtype=cfg.torch_dtype, device=cfg.device))


def new_head_parameter(cfg: HookedTransformerConfig, n_heads: int) -> nn.Parameter:
    """Return a parameter [head, d_model, d_head] that lies in memory as [d_model, head, d_head].

    Seen as [d_model, head * d_head] it is then a plain matrix without a copy, so a pass over all heads is one
    product and nothing is repacked.
    """
    return nn.Parameter(new_parameter(cfg, cfg.d_model, n_heads, cfg.d_head).data.transpose(0, 1))


def as_matrix(weight: Tensor) -> Tensor:
    """Return a weight [head, d_model, d_head] as [d_model, head * d_head]: a view for the layout above."""
    return weight.transpose(0, 1).flatten(1)


def draw_weights(module: nn.Module, cfg: HookedTransformerConfig) -> None:
    """Draw every matrix (`W_…`) in the order of the parameters; biases become 0 and norm weights 1.

    Numbers are drawn on the CPU in float32, so that a seed gives the same network on every device and dtype.
    `gpt2`: normal with s.d. `cfg.initializer_range` (Radford et al. 2019 use 0.02). `xavier_…`: variance
    2 / (fan_in + fan_out) (Glorot & Bengio 2010), the fans being those of the whole layer, all heads together.
    """
    generator = None if cfg.seed is None else torch.Generator().manual_seed(cfg.seed)
    for name, parameter in module.named_parameters():
        leaf = name.rsplit(".", 1)[-1].removeprefix("_")  # what heads share is drawn like what they have alone
        with torch.no_grad():
            if leaf.startswith("W_"):
                parameter.copy_(_DRAWS[cfg.init_mode](parameter, leaf, cfg, generator))
            else:
                parameter.fill_(1.0 if leaf == "w" else 0.0)


def _normal(weight: Tensor, leaf: str, cfg: HookedTransformerConfig, generator: torch.Generator | None) -> Tensor:
    return torch.randn(weight.shape, generator=generator) * cfg.initializer_range


def _xavier_uniform(
    weight: Tensor, leaf: str, cfg: HookedTransformerConfig, generator: torch.Generator | None
) -> Tensor:
    return (2 * torch.rand(weight.shape, generator=generator) - 1) * (3**0.5 * _xavier_deviation(weight, leaf))


def _xavier_normal(
    weight: Tensor, leaf: str, cfg: HookedTransformerConfig, generator: torch.Generator | None
) -> Tensor:
    return torch.randn(weight.shape, generator=generator) * _xavier_deviation(weight, leaf)


def _xavier_deviation(weight: Tensor, leaf: str) -> float:
    if leaf in ("W_Q", "W_K", "W_V"):  # [head, d_model, d_head]
        fans = weight.shape[1] + weight.shape[0] * weight.shape[2]
    elif leaf == "W_O":  # [head, d_head, d_model]
        fans = weight.shape[0] * weight.shape[1] + weight.shape[2]
    else:  # [rows, cols], or that for every expert
        fans = weight.shape[-2] + weight.shape[-1]
    return (2 / fans) ** 0.5


_Draw = Callable[[Tensor, str, HookedTransformerConfig, torch.Generator | None], Tensor]
_DRAWS: Mapping[str, _Draw] = MappingProxyType(
    {"gpt2": _normal, "xavier_uniform": _xavier_uniform, "xavier_normal": _xavier_normal}
)

"""Norms: LayerNorm, RMSNorm, and both with their weights folded into what reads them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.config import HookedTransformerConfig
from refractor.models.parameters import new_parameter

STREAM = ("batch", "pos", "d_model")


class LayerNormPre(nn.Module):
    """`y = (x - mean(x)) / sqrt(var(x) + eps)` over the last axis: LayerNorm without weights (Ba, Kiros & Hinton 2016).

    Points: `hook_scale`, the divisor [batch, pos, 1], and `hook_normalized`, the result [batch, pos, d_model].

    Args:
        cfg: the architecture.
        width: length of the last axis; `d_model` when left out.
        axes: names of the axes of what is normalised.

    """

    def __init__(self, cfg: HookedTransformerConfig, width: int | None = None, axes: tuple[str, ...] = STREAM) -> None:
        super().__init__()
        self.eps = cfg.eps
        self.width = cfg.d_model if width is None else width
        self.hook_scale = HookPoint((*axes[:-1], "one"))
        self.hook_normalized = HookPoint(axes)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the normalised input as the hooks leave it."""
        return self.normalized(x)

    def normalized(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return `(x - mean) / scale`, passing both points."""
        if self.hook_scale.edited:
            centred = x - x.mean(-1, keepdim=True)
            scale = (centred.square().mean(-1, keepdim=True) + self.eps).sqrt()
            return self.hook_normalized(centred / self.hook_scale(scale))
        # One pass over memory. Its third result is 1 / scale, which only needs to be shown, not used.
        result, _, inverse = torch.native_layer_norm(x, x.shape[-1:], None, None, self.eps)
        if self.hook_scale.hooked:
            self.hook_scale(inverse.reciprocal().to(x.dtype))
        return self.hook_normalized(result)

    def plain(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the same norm past the hook points, in one kernel."""
        return nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps)


class LayerNorm(LayerNormPre):
    """`y = (x - mean(x)) / sqrt(var(x) + eps) * w + b` over the last axis (Ba, Kiros & Hinton 2016).

    The points are those of `LayerNormPre`: `hook_normalized` comes before `w` and `b`.
    """

    def __init__(self, cfg: HookedTransformerConfig, width: int | None = None, axes: tuple[str, ...] = STREAM) -> None:
        super().__init__(cfg, width, axes)
        self.w = new_parameter(cfg, self.width, fill=1.0)
        self.b = new_parameter(cfg, self.width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the normalised input as the hooks leave it, times `w` plus `b`."""
        if not self.hook_scale.hooked and not self.hook_normalized.hooked:
            return self.plain(x)
        return torch.addcmul(self.b, self.normalized(x), self.w)

    def plain(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the same norm past the hook points, in one kernel."""
        return nn.functional.layer_norm(x, x.shape[-1:], self.w, self.b, self.eps)


class RMSNormPre(nn.Module):
    """`y = x / sqrt(mean(x²) + eps)` over the last axis: RMSNorm without weights (Zhang & Sennrich 2019).

    The mean square is taken in float32 at least. Points and arguments are those of `LayerNormPre`.
    """

    def __init__(self, cfg: HookedTransformerConfig, width: int | None = None, axes: tuple[str, ...] = STREAM) -> None:
        super().__init__()
        self.eps = cfg.eps
        self.width = cfg.d_model if width is None else width
        self.hook_scale = HookPoint((*axes[:-1], "one"))
        self.hook_normalized = HookPoint(axes)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the normalised input as the hooks leave it."""
        return self.normalized(x)

    def normalized(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return `x / scale`, passing both points."""
        return self.hook_normalized(x / self.hook_scale(root_mean_square(x, self.eps)))

    def plain(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the same norm past the hook points, in one kernel."""
        return nn.functional.rms_norm(x, x.shape[-1:], eps=self.eps)


class RMSNorm(RMSNormPre):
    """`y = x / sqrt(mean(x²) + eps) * w` over the last axis (Zhang & Sennrich 2019).

    The points are those of `RMSNormPre`: `hook_normalized` comes before `w`.
    """

    def __init__(self, cfg: HookedTransformerConfig, width: int | None = None, axes: tuple[str, ...] = STREAM) -> None:
        super().__init__(cfg, width, axes)
        self.w = new_parameter(cfg, self.width, fill=1.0)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the normalised input as the hooks leave it, times `w`."""
        if not self.hook_scale.hooked and not self.hook_normalized.hooked:
            return self.plain(x)
        return self.normalized(x) * self.w

    def plain(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the same norm past the hook points, in one kernel."""
        return nn.functional.rms_norm(x, x.shape[-1:], self.w, self.eps)


class NoNorm(nn.Module):
    """The identity: a network without norms has no norm points."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def plain(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x


Norm = LayerNorm | LayerNormPre | RMSNorm | RMSNormPre | NoNorm

_KINDS: Mapping[str, Callable[..., Norm]] = MappingProxyType(
    {"LN": LayerNorm, "LNPre": LayerNormPre, "RMS": RMSNorm, "RMSPre": RMSNormPre}
)


def make_norm(cfg: HookedTransformerConfig, width: int | None = None, axes: tuple[str, ...] = STREAM) -> Norm:
    """Return the norm that `cfg.normalization_type` names."""
    return NoNorm() if cfg.normalization_type is None else _KINDS[cfg.normalization_type](cfg, width, axes)


def make_writing_norm(cfg: HookedTransformerConfig) -> Norm:
    """Return a norm of what is added to the stream (or of the stream itself): its weights are never folded away."""
    kinds = {"LN": LayerNorm, "LNPre": LayerNorm, "RMS": RMSNorm, "RMSPre": RMSNorm}
    return NoNorm() if cfg.normalization_type is None else kinds[cfg.normalization_type](cfg)


def root_mean_square(x: Float[Tensor, "*batch width"], eps: float) -> Float[Tensor, "*batch one"]:
    """Return `sqrt(mean(x²) + eps)` over the last axis, in the dtype of `x`, the mean taken in float32 at least."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return (wide.square().mean(-1, keepdim=True) + eps).sqrt().to(x.dtype)

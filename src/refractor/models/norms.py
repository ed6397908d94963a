"""Norms of the residual stream: LayerNorm, and LayerNorm whose weights were folded into what reads it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.config import HookedTransformerConfig
from refractor.models.parameters import new_parameter


class LayerNormPre(nn.Module):
    """`y = (x - mean(x)) / sqrt(var(x) + eps)` over d_model: LayerNorm without weights (Ba, Kiros & Hinton 2016).

    Points: `hook_scale`, the divisor [batch, pos, 1], and `hook_normalized`, the result [batch, pos, d_model].
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        self.eps = cfg.eps
        self.hook_scale = HookPoint(("batch", "pos", "one"))
        self.hook_normalized = HookPoint(("batch", "pos", "d_model"))

    def forward(self, x: Float[Tensor, "*batch pos d_model"]) -> Float[Tensor, "*batch pos d_model"]:
        """Return the normalised stream as the hooks leave it."""
        return self.normalized(x)

    def normalized(self, x: Float[Tensor, "*batch pos d_model"]) -> Float[Tensor, "*batch pos d_model"]:
        """Return `(x - mean) / scale`, passing both points."""
        if self.hook_scale.edited:
            centred = x - x.mean(-1, keepdim=True)
            scale = (centred.square().mean(-1, keepdim=True) + self.eps).sqrt()
            return self.hook_normalized(centred / self.hook_scale(scale))
        # One pass over memory. Its third result is 1 / scale, which only needs to be shown, not used.
        result, _, inverse = torch.native_layer_norm(x, x.shape[-1:], None, None, self.eps)
        if self.hook_scale.hooked:
            self.hook_scale(inverse.reciprocal())
        return self.hook_normalized(result)

    def plain(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return the same norm past the hook points, in one kernel."""
        return nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps)


class LayerNorm(LayerNormPre):
    """`y = (x - mean(x)) / sqrt(var(x) + eps) * w + b` over d_model (Ba, Kiros & Hinton 2016).

    The points are those of `LayerNormPre`: `hook_normalized` comes before `w` and `b`.
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__(cfg)
        self.w = new_parameter(cfg, cfg.d_model, fill=1.0)
        self.b = new_parameter(cfg, cfg.d_model)

    def forward(self, x: Float[Tensor, "*batch pos d_model"]) -> Float[Tensor, "*batch pos d_model"]:
        """Return the normalised stream as the hooks leave it, times `w` plus `b`."""
        if not self.hook_scale.hooked and not self.hook_normalized.hooked:
            return self.plain(x)
        return torch.addcmul(self.b, self.normalized(x), self.w)

    def plain(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return the same norm past the hook points, in one kernel."""
        return nn.functional.layer_norm(x, x.shape[-1:], self.w, self.b, self.eps)


class NoNorm(nn.Module):
    """The identity: a network without norms has no norm points."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def plain(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x


Norm = LayerNorm | LayerNormPre | NoNorm


def make_norm(cfg: HookedTransformerConfig) -> Norm:
    """Return the norm that `cfg.normalization_type` names."""
    kinds = {"LN": LayerNorm, "LNPre": LayerNormPre}
    return NoNorm() if cfg.normalization_type is None else kinds[cfg.normalization_type](cfg)

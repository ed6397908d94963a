"""Norms of queries and keys (Henry et al. 2020, in the forms that trained models use)."""

from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.config import HookedTransformerConfig
from refractor.models.norms import root_mean_square
from refractor.models.parameters import new_parameter

HEAD_AXES = ("batch", "pos", "head", "d_head")


class HeadNorm(nn.Module):
    """Normalises the queries (or keys) of a layer, [batch, pos, head, d_head], as `cfg.qk_norm` says.

    "RMS": each head by its root mean square, times `w` [d_head]. "joint RMS": all heads by one root mean square, times
    `w` [head, d_head]. "LN": each head less its mean, by its standard deviation, times `w` [head, d_head].
    Points: `hook_scale`, the divisor, and `hook_normalized`, before `w`.

    Args:
        cfg: the architecture.
        n_heads: heads of what is normalised.
        axes: names of its axes.

    """

    def __init__(self, cfg: HookedTransformerConfig, n_heads: int, axes: tuple[str, ...] = HEAD_AXES) -> None:
        super().__init__()
        self.eps = cfg.eps
        self.kind = cfg.qk_norm
        shape = (cfg.d_head,) if self.kind == "RMS" else (n_heads, cfg.d_head)
        self.w = new_parameter(cfg, *shape, fill=1.0)
        joint = self.kind == "joint RMS"
        self.hook_scale = HookPoint((*axes[:2], "one", "one") if joint else (*axes[:3], "one"))
        self.hook_normalized = HookPoint(axes)

    def forward(self, x: Float[Tensor, "batch pos head d_head"]) -> Float[Tensor, "batch pos head d_head"]:
        """Return the normalised heads as the hooks leave them, times `w`."""
        return self.hook_normalized(self._divided(x)) * self.w

    def _divided(self, x: Tensor) -> Tensor:
        if self.kind == "joint RMS":
            scale = self.hook_scale(root_mean_square(x.flatten(2), self.eps).unsqueeze(-1))
            return x / scale
        if self.kind == "LN":
            x = x - x.mean(-1, keepdim=True)
        return x / self.hook_scale(root_mean_square(x, self.eps))

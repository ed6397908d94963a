"""The MLP of a block."""

from jaxtyping import Float
from torch import Tensor, nn

from refractor.base.errors import ConfigError
from refractor.hooks.point import HookPoint
from refractor.models.activations import ACTIVATIONS
from refractor.models.config import HookedTransformerConfig
from refractor.models.parameters import new_parameter


class MLP(nn.Module):
    """`out = act(x W_in + b_in) W_out + b_out`.

    Weights: `W_in` [d_model, d_mlp], `W_out` [d_mlp, d_model]. Points: `hook_pre` and `hook_post`, before and after the
    activation, [batch, pos, d_mlp].
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        if cfg.act_fn is None or cfg.d_mlp is None:
            raise ConfigError("an MLP needs act_fn and d_mlp; this configuration is that of an attention-only network.")
        d_mlp = cfg.d_mlp
        self.act_fn = ACTIVATIONS[cfg.act_fn]
        self.W_in = new_parameter(cfg, cfg.d_model, d_mlp)
        self.b_in = new_parameter(cfg, d_mlp)
        self.W_out = new_parameter(cfg, d_mlp, cfg.d_model)
        self.b_out = new_parameter(cfg, cfg.d_model)
        self.hook_pre = HookPoint(("batch", "pos", "d_mlp"))
        self.hook_post = HookPoint(("batch", "pos", "d_mlp"))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return what the MLP adds to the residual stream."""
        pre = self.hook_pre(nn.functional.linear(x, self.W_in.T, self.b_in))
        post = self.hook_post(self.act_fn(pre))
        return nn.functional.linear(post, self.W_out.T, self.b_out)

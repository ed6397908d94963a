"""The MLP of a block, plain or gated."""

from jaxtyping import Float
from torch import Tensor, nn

from refractor.base.errors import ConfigError
from refractor.hooks.point import HookPoint
from refractor.models.activations import ACTIVATIONS
from refractor.models.config import HookedTransformerConfig
from refractor.models.norms import make_norm
from refractor.models.parameters import new_parameter

NEURONS = ("batch", "pos", "d_mlp")


class MLP(nn.Module):
    """`out = act(x W_in + b_in) W_out + b_out`.

    Weights: `W_in` [d_model, d_mlp], `W_out` [d_mlp, d_model]. Points: `hook_pre` and `hook_post`, before and after the
    activation, [batch, pos, d_mlp]. With "solu_ln" (Elhage et al. 2022) a norm `ln` over the neurons follows the
    activation: `hook_mid` stands before it, `hook_post` after.
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        act_fn, d_mlp = mlp_shape(cfg)
        self.act_fn = ACTIVATIONS[act_fn]
        self.has_mid = act_fn == "solu_ln"
        self.W_in = new_parameter(cfg, cfg.d_model, d_mlp)
        self.b_in = new_parameter(cfg, d_mlp)
        self.W_out = new_parameter(cfg, d_mlp, cfg.d_model)
        self.b_out = new_parameter(cfg, cfg.d_model)
        self.hook_pre = HookPoint(NEURONS)
        if self.has_mid:
            self.hook_mid = HookPoint(NEURONS)
            self.ln = make_norm(cfg, d_mlp, NEURONS)
        self.hook_post = HookPoint(NEURONS)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return what the MLP adds to the residual stream."""
        active = self.act_fn(self.hook_pre(nn.functional.linear(x, self.W_in.T, self.b_in)))
        if self.has_mid:
            active = self.ln(self.hook_mid(active))
        return nn.functional.linear(self.hook_post(active), self.W_out.T, self.b_out)


class GatedMLP(nn.Module):
    """`out = (act(x W_gate) * (x W_in + b_in)) W_out + b_out` (Shazeer 2020).

    Weights: `W_gate`, `W_in` [d_model, d_mlp], `W_out` [d_mlp, d_model]; the gate has no bias until a norm with bias is
    folded into it, then `b_gate`. Points, [batch, pos, d_mlp]: `hook_pre`, before the activation; `hook_pre_linear`,
    what it multiplies; `hook_post`, the product.
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        act_fn, d_mlp = mlp_shape(cfg)
        self.act_fn = ACTIVATIONS[act_fn]
        self.W_in = new_parameter(cfg, cfg.d_model, d_mlp)
        self.W_gate = new_parameter(cfg, cfg.d_model, d_mlp)
        self.b_in = new_parameter(cfg, d_mlp)
        self.b_gate = new_parameter(cfg, d_mlp)
        self.W_out = new_parameter(cfg, d_mlp, cfg.d_model)
        self.b_out = new_parameter(cfg, cfg.d_model)
        self.hook_pre = HookPoint(NEURONS)
        self.hook_pre_linear = HookPoint(NEURONS)
        self.hook_post = HookPoint(NEURONS)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Return what the MLP adds to the residual stream."""
        pre = self.hook_pre(nn.functional.linear(x, self.W_gate.T, self.b_gate))
        linear = self.hook_pre_linear(nn.functional.linear(x, self.W_in.T, self.b_in))
        return nn.functional.linear(self.hook_post(self.act_fn(pre) * linear), self.W_out.T, self.b_out)


def mlp_shape(cfg: HookedTransformerConfig) -> tuple[str, int]:
    """Return the activation and the number of neurons of a network that has MLPs.

    Raises:
        ConfigError: it has none.

    """
    if cfg.act_fn is None or cfg.d_mlp is None:
        raise ConfigError("an MLP needs act_fn and d_mlp; this configuration is that of an attention-only network.")
    return cfg.act_fn, cfg.d_mlp

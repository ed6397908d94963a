"""MLPs among which a router chooses, for each token anew."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.activations import ACTIVATIONS
from refractor.models.config import HookedTransformerConfig
from refractor.models.mlp import mlp_shape
from refractor.models.parameters import new_parameter

OF_EXPERTS = ("batch", "pos", "expert", "d_mlp")


class Experts(nn.Module):
    """`out = Σ_e g_e mlp_e(x)`, where `g` is the softmax of the largest `x W_router` and 0 for the others.

    Sources: Shazeer et al. 2017; in this form Jiang et al. 2024 (Mixtral).
    Weights: `W_router` [d_model, expert], `b_router` [expert]; `W_in` (and `W_gate`) [expert, d_model, d_mlp], `W_out`
    [expert, d_mlp, d_model], `b_in` (`b_gate`) [expert, d_mlp], `b_out` [expert, d_model].
    Points: `hook_router_logits` and `hook_expert_weights` [batch, pos, expert], the g, 0 where an expert is not chosen;
    `hook_pre`, `hook_pre_linear` (gated) and `hook_post` [batch, pos, expert, d_mlp].

    A token goes through its chosen experts only, unless their weights or neurons are hooked: then all experts are
    computed, so that the gradient of a weight that is 0 is right too.
    """

    def __init__(self, cfg: HookedTransformerConfig) -> None:
        super().__init__()
        act_fn, d_mlp = mlp_shape(cfg)
        n_experts = cfg.num_experts or 1
        self.chosen = cfg.experts_per_token or 1
        self.gated = cfg.gated_mlp
        self.act_fn = ACTIVATIONS[act_fn]
        self.W_router = new_parameter(cfg, cfg.d_model, n_experts)
        self.b_router = new_parameter(cfg, n_experts)
        self.W_in = new_parameter(cfg, n_experts, cfg.d_model, d_mlp)
        self.b_in = new_parameter(cfg, n_experts, d_mlp)
        if self.gated:
            self.W_gate = new_parameter(cfg, n_experts, cfg.d_model, d_mlp)
            self.b_gate = new_parameter(cfg, n_experts, d_mlp)
        self.W_out = new_parameter(cfg, n_experts, d_mlp, cfg.d_model)
        self.b_out = new_parameter(cfg, n_experts, cfg.d_model)
        self.hook_router_logits = HookPoint(("batch", "pos", "expert"))
        self.hook_expert_weights = HookPoint(("batch", "pos", "expert"))
        self.hook_pre = HookPoint(OF_EXPERTS)
        if self.gated:
            self.hook_pre_linear = HookPoint(OF_EXPERTS)
        self.hook_post = HookPoint(OF_EXPERTS)

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """Return what the experts add to the residual stream."""
        weights = self.hook_expert_weights(self.route(x))
        points = [self.hook_expert_weights, self.hook_pre, self.hook_post]
        points += [self.hook_pre_linear] if self.gated else []
        if x.is_meta or any(point.hooked for point in points):
            return self._all_experts(x, weights)
        return self._chosen_experts(x.flatten(0, 1), weights.flatten(0, 1)).view_as(x)

    def route(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos expert"]:
        """Return the weight of every expert for every token, 0 for those that are not chosen."""
        logits = self.hook_router_logits(nn.functional.linear(x, self.W_router.T, self.b_router))
        largest, chosen = logits.topk(self.chosen, dim=-1)
        return torch.zeros_like(logits).scatter(-1, chosen, largest.softmax(-1))

    def _all_experts(self, x: Tensor, weights: Tensor) -> Tensor:
        linear = torch.einsum("bpm,emn->bpen", x, self.W_in) + self.b_in
        if self.gated:
            pre = self.hook_pre(torch.einsum("bpm,emn->bpen", x, self.W_gate) + self.b_gate)
            post = self.hook_post(self.act_fn(pre) * self.hook_pre_linear(linear))
        else:
            post = self.hook_post(self.act_fn(self.hook_pre(linear)))
        out = torch.einsum("bpen,enm,bpe->bpm", post, self.W_out, weights)
        return out + weights @ self.b_out

    def _chosen_experts(self, x: Tensor, weights: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for expert in range(weights.shape[-1]):
            rows = weights[:, expert].nonzero().squeeze(-1)
            if not len(rows):
                continue
            part = x[rows]
            post = nn.functional.linear(part, self.W_in[expert].T, self.b_in[expert])
            if self.gated:
                post = post * self.act_fn(nn.functional.linear(part, self.W_gate[expert].T, self.b_gate[expert]))
            else:
                post = self.act_fn(post)
            result = nn.functional.linear(post, self.W_out[expert].T, self.b_out[expert])
            out = out.index_add(0, rows, result * weights[rows, expert].unsqueeze(-1))
        return out

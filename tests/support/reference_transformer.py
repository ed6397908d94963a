"""Every activation of a transformer, from the formulas and index by index.

Slow on purpose, it takes nothing from the code but the parameters: turning is a matrix for each position, masks and
slopes are filled entry by entry, and each head reads the keys of its group by their number.
"""

import math
from collections.abc import Callable
from types import EllipsisType

import torch
from torch import Tensor

from refractor.models import HookedTransformer


def reference(model: HookedTransformer, tokens: Tensor) -> dict[str, Tensor]:
    """Return every activation by the name of its hook point, and the logits."""
    return _Reference(model).run(tokens)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_new": lambda x: x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_pytorch_tanh": lambda x: x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_fast": lambda x: x * 0.5 * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "solu": lambda x: x * torch.exp(x - x.logsumexp(-1, keepdim=True)),
    "solu_ln": lambda x: x * torch.exp(x - x.logsumexp(-1, keepdim=True)),
}


class _Reference:
    def __init__(self, model: HookedTransformer) -> None:
        self.model, self.cfg = model, model.cfg
        self.seen: dict[str, Tensor] = {}

    def see(self, name: str, x: Tensor) -> Tensor:
        self.seen[name] = x
        return x

    def weight(self, name: str) -> Tensor:
        return self.model.get_parameter(name)

    def run(self, tokens: Tensor) -> dict[str, Tensor]:
        cfg = self.cfg
        x = self.weight("embed.W_E")[tokens]
        if cfg.post_embedding_ln:
            x = self.norm(x, "embed.ln", folds=False)
        x, positions = self.see("hook_embed", x), None
        if cfg.positional_embedding_type in ("standard", "shortformer"):
            positions = self.weight("pos_embed.W_pos")[: tokens.shape[1]].expand_as(x)
            self.see("hook_pos_embed", positions)
        if positions is not None and cfg.positional_embedding_type == "standard":
            x, positions = x + positions, None
        for layer in range(cfg.n_layers):
            x = self.block(x, layer, positions)
        if cfg.norm_placement != "stream":
            x = self.norm(x, "ln_final")
        logits = x @ self.weight("unembed.W_U") + self.weight("unembed.b_U")
        self.see("logits", self.capped(logits, cfg.output_logits_soft_cap))
        return self.seen

    def block(self, x: Tensor, layer: int, positions: Tensor | None) -> Tensor:
        placement, at = self.cfg.norm_placement, f"blocks.{layer}."
        first, last = placement in ("before", "before_and_after"), placement in ("before_and_after", "after")
        pre = self.see(at + "hook_resid_pre", x)
        y = self.norm(pre, at + "ln1") if first else pre
        added = self.attention(y if positions is None else y + positions, y, layer)
        if last:
            added = self.norm(added, at + "ln1_post", folds=False)
        x = pre + self.see(at + "hook_attn_out", added)
        if placement == "stream":
            x = self.norm(x, at + "ln1", folds=False)
        if not self.cfg.attn_only:
            read = pre if self.cfg.parallel_attn_mlp else self.see(at + "hook_resid_mid", x)
            added = self.mlp(self.norm(read, at + "ln2") if first else read, at + "mlp.")
            if last:
                added = self.norm(added, at + "ln2_post", folds=False)
            x = x + self.see(at + "hook_mlp_out", added)
            if placement == "stream":
                x = self.norm(x, at + "ln2", folds=False)
        return self.see(at + "hook_resid_post", x)

    def norm(self, x: Tensor, name: str, folds: bool = True) -> Tensor:
        kind = self.cfg.normalization_type
        if kind is None:
            return x
        if kind.startswith("LN"):
            x = x - x.mean(-1, keepdim=True)
        scale = self.see(name + ".hook_scale", ((x**2).mean(-1, keepdim=True) + self.cfg.eps) ** 0.5)
        y = self.see(name + ".hook_normalized", x / scale)
        if folds and kind.endswith("Pre"):
            return y
        y = y * self.weight(name + ".w")
        return y + self.weight(name + ".b") if kind.startswith("LN") else y

    def attention(self, reads: Tensor, values_read: Tensor, layer: int) -> Tensor:
        cfg, at, local = self.cfg, f"blocks.{layer}.attn.", self.cfg.is_local(layer)
        shared = "" if cfg.n_key_value_heads is None else "_"
        q = self.heads(reads, at, "W_Q", "b_Q", "hook_q")
        k = self.heads(reads, at, shared + "W_K", shared + "b_K", "hook_k")
        v = self.heads(values_read, at, shared + "W_V", shared + "b_V", "hook_v")
        if cfg.qk_norm is not None:
            q, k = self.head_norm(q, at + "q_norm"), self.head_norm(k, at + "k_norm")
        if cfg.positional_embedding_type == "rotary":
            turns = torch.stack([self.turn(position, local) for position in range(q.shape[1])])
            q = self.see(at + "hook_rot_q", torch.einsum("puv,bphv->bphu", turns, q))
            k = self.see(at + "hook_rot_k", torch.einsum("puv,bphv->bphu", turns, k))
        group = q.shape[2] // k.shape[2]
        scores, z = [], []
        for head in range(q.shape[2]):
            found = torch.einsum("bqd,bkd->bqk", q[:, :, head], k[:, :, head // group]) / cfg.attn_scale
            if cfg.positional_embedding_type == "alibi":
                found = found + self.falls(head, q.shape[1])
            found = self.capped(found, cfg.attn_scores_soft_cap)
            scores.append(torch.where(self.allowed(local, q.shape[1]), found, -torch.inf))
            z.append(scores[-1].softmax(-1) @ v[:, :, head // group])
        self.see(at + "hook_attn_scores", torch.stack(scores, 1))
        self.see(
            at + "hook_pattern", torch.stack([each.exp() / each.exp().sum(-1, keepdim=True) for each in scores], 1)
        )
        z = self.see(at + "hook_z", torch.stack(z, 2))
        result = [z[:, :, head] @ self.weight(at + "W_O")[head] for head in range(q.shape[2])]
        return self.see(at + "hook_result", torch.stack(result, 2)).sum(2) + self.weight(at + "b_O")

    def heads(self, x: Tensor, at: str, weight: str, bias: str, point: str) -> Tensor:
        W, b = self.weight(at + weight), self.weight(at + bias)
        return self.see(at + point, torch.stack([x @ W[head] + b[head] for head in range(len(W))], 2))

    def head_norm(self, x: Tensor, name: str) -> Tensor:
        if self.cfg.qk_norm == "LN":
            x = x - x.mean(-1, keepdim=True)
        over = (2, 3) if self.cfg.qk_norm == "joint RMS" else (3,)
        scale = self.see(name + ".hook_scale", ((x**2).mean(over, keepdim=True) + self.cfg.eps) ** 0.5)
        return self.see(name + ".hook_normalized", x / scale) * self.weight(name + ".w")

    def turn(self, position: int, local: bool) -> Tensor:
        """The matrix by which a query or key at a position is multiplied."""
        cfg = self.cfg
        assert cfg.rotary_dim is not None
        half = cfg.rotary_dim // 2
        of_window = local and cfg.rotary_base_local is not None
        matrix = torch.eye(cfg.d_head, dtype=torch.float64)
        for pair in range(half):
            base = cfg.rotary_base_local if of_window else cfg.rotary_base
            assert base is not None
            wavelength = 2 * math.pi * base ** (2 * pair / cfg.rotary_dim)
            angle = 2 * math.pi * position / (wavelength * (1 if of_window else self.stretch(wavelength)))
            u, v = (2 * pair, 2 * pair + 1) if cfg.rotary_adjacent_pairs else (pair, pair + half)
            matrix[u, u], matrix[u, v] = math.cos(angle), -math.sin(angle)
            matrix[v, u], matrix[v, v] = math.sin(angle), math.cos(angle)
        return matrix

    def stretch(self, wavelength: float) -> float:
        scaling = self.cfg.rotary_scaling
        if scaling is None or scaling.kind == "linear":
            return 1 if scaling is None else scaling.factor
        context, low, high = scaling.original_n_ctx, scaling.low_freq_factor, scaling.high_freq_factor
        assert context is not None
        assert low is not None
        assert high is not None
        if wavelength < context / high:
            return 1
        if wavelength > context / low:
            return scaling.factor
        share = (context / wavelength - low) / (high - low)
        return 1 / ((1 - share) / scaling.factor + share)

    def falls(self, head: int, length: int) -> Tensor:
        """What a head adds to its scores by distance."""
        slope, result = slopes(self.cfg.n_heads)[head], torch.empty(length, length, dtype=torch.float64)
        for query in range(length):
            for key in range(length):
                if self.cfg.alibi_rounded:
                    result[query, key] = -abs(_short(_short(slope) * query) - _short(_short(slope) * key))
                else:
                    result[query, key] = -slope * abs(query - key)
        return result * self.cfg.alibi_scale

    def allowed(self, local: bool, length: int) -> Tensor:
        result = torch.empty(length, length, dtype=torch.bool)
        for query in range(length):
            for key in range(length):
                in_window = not local or query - key < (self.cfg.window_size or 0)
                result[query, key] = in_window and (key <= query or self.cfg.attention_dir == "bidirectional")
        return result

    def capped(self, x: Tensor, cap: float | None) -> Tensor:
        return x if cap is None else cap * torch.tanh(x / cap)

    def mlp(self, x: Tensor, at: str) -> Tensor:
        assert self.cfg.act_fn is not None
        if self.cfg.num_experts is not None:
            return self.experts(x, at)
        pre, linear = self.neurons(x, at)
        self.see(at + "hook_pre", pre)
        post = _ACTIVATIONS[self.cfg.act_fn](pre)
        if linear is not None:
            post = post * self.see(at + "hook_pre_linear", linear)
        if self.cfg.act_fn == "solu_ln":
            post = self.norm(self.see(at + "hook_mid", post), at + "ln")
        return self.see(at + "hook_post", post) @ self.weight(at + "W_out") + self.weight(at + "b_out")

    def neurons(self, x: Tensor, at: str, expert: int | EllipsisType = ...) -> tuple[Tensor, Tensor | None]:
        """What goes into the activation, and what a gate multiplies."""
        plain, gate = [
            x @ self.weight(at + "W_" + name)[expert] + self.weight(at + "b_" + name)[expert]
            if self.cfg.gated_mlp or name == "in"
            else None
            for name in ("in", "gate")
        ]
        assert plain is not None
        return (plain, None) if gate is None else (gate, plain)

    def experts(self, x: Tensor, at: str) -> Tensor:
        cfg = self.cfg
        assert cfg.num_experts is not None
        assert cfg.experts_per_token is not None
        assert cfg.act_fn is not None
        logits = self.see(at + "hook_router_logits", x @ self.weight(at + "W_router") + self.weight(at + "b_router"))
        ranks = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(-1)  # how many experts are ahead of each
        odds = torch.where(ranks < cfg.experts_per_token, logits.exp(), 0)
        shares = self.see(at + "hook_expert_weights", odds / odds.sum(-1, keepdim=True))
        pre, linear, post, out = [], [], [], torch.zeros_like(x)
        for expert in range(cfg.num_experts):
            into, multiplied = self.neurons(x, at, expert)
            pre.append(into)
            post.append(_ACTIVATIONS[cfg.act_fn](into))
            if multiplied is not None:
                linear.append(multiplied)
                post[-1] = post[-1] * multiplied
            result = post[-1] @ self.weight(at + "W_out")[expert] + self.weight(at + "b_out")[expert]
            out = out + shares[..., expert, None] * result
        for name, each in (("pre", pre), ("pre_linear", linear), ("post", post)):
            if each:
                self.see(f"{at}hook_{name}", torch.stack(each, 2))
        return out


def slopes(n_heads: int) -> list[float]:
    """A geometric series that ends at 2^-8; for a number that is no power of two, every other one of a finer series."""
    power = 2 ** math.floor(math.log2(n_heads))
    ratio = 2.0 ** (-8 / power)
    return [ratio**i for i in range(1, power + 1)] + [ratio ** (i / 2) for i in range(1, 2 * power, 2)][
        : n_heads - power
    ]


def _short(number: float) -> float:
    return torch.tensor(number, dtype=torch.float64).bfloat16().item()

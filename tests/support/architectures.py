"""Small odd transformers of every kind, all of whose parameters are random, and masks of padded batches."""

from typing import Any

import torch
from torch import Tensor

from refractor.models import HookedTransformer

BASE = {"d_model": 12, "n_ctx": 7, "d_head": 5, "n_heads": 3, "d_vocab": 11, "d_vocab_out": 13, "d_mlp": 17, "seed": 3}
GROUPS = {"n_heads": 4, "n_key_value_heads": 2}
TURNING = {"positional_embedding_type": "rotary", "d_head": 6, "rotary_base": 10.0}
PARTLY = {"positional_embedding_type": "rotary", "rotary_dim": 4, "rotary_base": 10.0}
BANDS = {"kind": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0, "original_n_ctx": 16}
"""Of the three wavelengths of `TURNING`, 6.3, 13.5 and 29.2 positions, the first stays, the second lies between."""
MIXED = {"use_local_attn": True, "window_size": 3, "attn_types": ("local", "global")}

ARCHITECTURES: dict[str, dict[str, object]] = {
    "plain": {"n_layers": 2, "act_fn": "gelu"},
    "no norm": {"n_layers": 1, "act_fn": "relu", "normalization_type": None, "use_attn_scale": False},
    "folded norm": {"n_layers": 2, "act_fn": "gelu_new", "normalization_type": "LNPre"},
    "no positions": {"n_layers": 2, "act_fn": "silu", "positional_embedding_type": None},
    "attention only": {"n_layers": 2, "attn_only": True, "d_mlp": None},
    "square": {
        "n_layers": 1,
        "act_fn": "relu",
        "d_mlp": 12,
        "d_vocab": 12,
        "d_vocab_out": 12,
        "n_heads": 12,
        "d_head": 12,
    },
    "windows": {"n_layers": 2, "act_fn": "gelu_new", "use_attn_scale": False, **MIXED},
    "norms of the stream": {"n_layers": 2, "act_fn": "relu", "norm_placement": "stream"},
    "norms of the stream, RMS": {
        "n_layers": 1,
        "normalization_type": "RMS",
        "norm_placement": "stream",
        "act_fn": "solu",
        "post_embedding_ln": True,
        **GROUPS,
    },
    "norms after, attention only": {
        "n_layers": 1,
        "attn_only": True,
        "d_mlp": None,
        "normalization_type": "LNPre",
        "norm_placement": "after",
        "post_embedding_ln": True,
    },
    "shortformer": {"n_layers": 2, "act_fn": "solu_ln", "positional_embedding_type": "shortformer"},
    "shortformer, folded norms before and after": {
        "n_layers": 1,
        "act_fn": "solu_ln",
        "normalization_type": "RMSPre",
        "norm_placement": "before_and_after",
        "positional_embedding_type": "shortformer",
        **GROUPS,
    },
    "slopes": {
        "n_layers": 2,
        "n_heads": 4,
        "act_fn": "gelu_fast",
        "positional_embedding_type": "alibi",
        "post_embedding_ln": True,
    },
    "rounded slopes, one key for all": {
        "n_layers": 1,
        "n_heads": 11,
        "n_key_value_heads": 1,
        "act_fn": "gelu",
        "positional_embedding_type": "alibi",
        "alibi_scale": 0.4,
        "alibi_rounded": True,
        "parallel_attn_mlp": True,
    },
    "turning": {
        "n_layers": 1,
        "normalization_type": "RMS",
        "act_fn": "silu",
        "gated_mlp": True,
        "rotary_scaling": BANDS,
        **TURNING,
        **GROUPS,
    },
    "turning in part, folded": {
        "n_layers": 2,
        "normalization_type": "RMSPre",
        "act_fn": "gelu",
        "gated_mlp": True,
        "rotary_scaling": {"kind": "linear", "factor": 2.5},
        "n_heads": 4,
        "n_key_value_heads": 1,
        **PARTLY,
    },
    "adjacent pairs, parallel": {
        "n_layers": 2,
        "act_fn": "gelu_new",
        "parallel_attn_mlp": True,
        "rotary_adjacent_pairs": True,
        **PARTLY,
    },
    "norms of heads, parallel": {
        "n_layers": 1,
        "act_fn": "silu",
        "gated_mlp": True,
        "parallel_attn_mlp": True,
        "qk_norm": "LN",
        **GROUPS,
        **PARTLY,
    },
    "joint norm of heads, norms after": {
        "n_layers": 2,
        "normalization_type": "RMS",
        "norm_placement": "after",
        "act_fn": "silu",
        "gated_mlp": True,
        "qk_norm": "joint RMS",
        **TURNING,
        **GROUPS,
    },
    "caps, norms before and after": {
        "n_layers": 2,
        "normalization_type": "RMS",
        "norm_placement": "before_and_after",
        "act_fn": "gelu_pytorch_tanh",
        "gated_mlp": True,
        "attn_scores_soft_cap": 1.5,
        "output_logits_soft_cap": 4.0,
        "rotary_scaling": BANDS,
        **MIXED,
        **TURNING,
        **GROUPS,
    },
    "two bases": {
        "n_layers": 2,
        "normalization_type": "RMS",
        "act_fn": "gelu",
        "qk_norm": "RMS",
        "rotary_base_local": 4.0,
        "rotary_scaling": {"kind": "linear", "factor": 2.0},
        **MIXED,
        **TURNING,
        **GROUPS,
    },
    "experts": {
        "n_layers": 1,
        "normalization_type": "RMS",
        "act_fn": "silu",
        "gated_mlp": True,
        "num_experts": 4,
        "experts_per_token": 2,
        **TURNING,
        **GROUPS,
    },
    "all experts": {"n_layers": 1, "act_fn": "gelu", "num_experts": 3, "experts_per_token": 3},
    "bidirectional": {"n_layers": 2, "act_fn": "gelu", "attention_dir": "bidirectional"},
    "bidirectional, turning": {
        "n_layers": 1,
        "act_fn": "gelu",
        "norm_placement": "stream",
        "attention_dir": "bidirectional",
        **PARTLY,
    },
    "bidirectional, slopes": {
        "n_layers": 1,
        "n_heads": 9,
        "act_fn": "gelu",
        "attention_dir": "bidirectional",
        "positional_embedding_type": "alibi",
    },
}

EDGES: dict[str, dict[str, object]] = {
    "window of one": {"n_layers": 2, "act_fn": "gelu", "use_local_attn": True, "window_size": 1},
    "window of the whole text": {"n_layers": 1, "act_fn": "gelu", "use_local_attn": True, "window_size": 6},
    "window longer than the text": {"n_layers": 1, "act_fn": "gelu", "use_local_attn": True, "window_size": 50},
    "one expert of four": {"n_layers": 1, "act_fn": "relu", "num_experts": 4, "experts_per_token": 1},
    "the only expert": {
        "n_layers": 1,
        "act_fn": "silu",
        "gated_mlp": True,
        "num_experts": 1,
        "experts_per_token": 1,
        "normalization_type": "LNPre",
    },
}
"""Networks some of whose points cannot move the logits: what they read has one choice only."""

MASKS = {
    "left": [[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]],
    "right": [[1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]],
    "anywhere": [[1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 1, 0], [1, 1, 0, 0, 1, 1]],
}
"""Three rows of six places each: 1 where a token is real, 0 where it is padding."""

CAUSAL = [kind for kind, fields in ARCHITECTURES.items() if fields.get("attention_dir") != "bidirectional"]


def make(kind: str, dtype: Any = torch.float64, **changes: Any) -> HookedTransformer:
    """Return a network whose every parameter is random, biases and norm weights included."""
    model = HookedTransformer({**BASE, **{**ARCHITECTURES, **EDGES}[kind], "dtype": dtype, **changes})
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(dtype)
            parameter.copy_(parameter + 0.3 * noise if name.rsplit(".")[-1] == "w" else 0.5 * noise)
    return model


def tokens_for(model: HookedTransformer, batch: int = 3, length: int = 6) -> Tensor:
    return torch.randint(model.cfg.d_vocab, (batch, length), generator=torch.Generator().manual_seed(9))

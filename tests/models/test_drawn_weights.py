"""Weights that are drawn: every matrix has the deviation that it should have, shared heads and experts included."""

import pytest
import torch

from refractor.models import HookedTransformer

SHAPE = {
    "n_layers": 1,
    "d_model": 96,
    "n_ctx": 40,
    "d_head": 24,
    "n_heads": 4,
    "n_key_value_heads": 2,
    "d_vocab": 70,
    "d_mlp": 120,
    "act_fn": "silu",
    "gated_mlp": True,
    "num_experts": 3,
    "experts_per_token": 2,
    "normalization_type": "RMS",
    "qk_norm": "RMS",
    "seed": 1,
}
FANS = {
    "blocks.0.attn.W_Q": 96 + 96,
    "blocks.0.attn._W_K": 96 + 48,
    "blocks.0.attn._W_V": 96 + 48,
    "blocks.0.attn.W_O": 96 + 96,
    "blocks.0.mlp.W_router": 96 + 3,
    "blocks.0.mlp.W_gate": 96 + 120,
    "blocks.0.mlp.W_in": 96 + 120,
    "blocks.0.mlp.W_out": 96 + 120,
    "embed.W_E": 70 + 96,
    "pos_embed.W_pos": 40 + 96,
    "unembed.W_U": 96 + 70,
}


@pytest.mark.parametrize("mode", ["gpt2", "xavier_normal", "xavier_uniform"])
def test_every_matrix_is_drawn_and_nothing_else(mode: str) -> None:
    model = HookedTransformer({**SHAPE, "init_mode": mode})
    for name, parameter in model.named_parameters():
        if name in FANS:
            expected = 0.8 / 96**0.5 if mode == "gpt2" else (2 / FANS[name]) ** 0.5
            deviation = float(parameter.detach().std())
            assert deviation == pytest.approx(expected, rel=0.15), name  # 288 numbers at least: 4 % by chance
        else:
            fill = 1.0 if name.endswith(".w") else 0.0
            assert torch.equal(parameter, torch.full_like(parameter, fill)), name


def test_the_switches_of_notebooks_are_those_of_the_configuration() -> None:
    model = HookedTransformer({**SHAPE, "n_key_value_heads": None})
    for name in ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in"):
        getattr(model, f"set_{name}")(True)
        assert getattr(model.cfg, name) is True
        assert model.flag_is_set(name)

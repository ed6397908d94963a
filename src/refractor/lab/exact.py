"""Copies of networks in float64 on the CPU, without anybody's hooks: what the measures run."""

from dataclasses import replace

import torch

from refractor.models.pair_networks import PairNetwork
from refractor.models.transformer import HookedTransformer


def exact_transformer(model: HookedTransformer) -> HookedTransformer:
    """Return a copy of a transformer in float64 on the CPU."""
    exact = HookedTransformer(replace(model.cfg, dtype=torch.float64, device="cpu", init_weights=False))
    exact.load_state_dict(model.state_dict())
    return exact


def exact_pair_network(model: PairNetwork) -> PairNetwork:
    """Return a copy of a network of pairs in float64 on the CPU."""
    exact = type(model)(replace(model.cfg, dtype=torch.float64, device="cpu", init_weights=False))
    exact.load_state_dict(model.state_dict())
    return exact

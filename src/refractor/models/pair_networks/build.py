"""From a configuration, or from weights alone, to a network."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from refractor.base.errors import CheckpointError
from refractor.models.pair_networks.config import PairNetworkConfig
from refractor.models.pair_networks.mlp import OneLayerMLP
from refractor.models.pair_networks.network import PairNetwork
from refractor.models.pair_networks.products import BilinearNet, QuadraticNetwork

CLASSES: Mapping[str, type[OneLayerMLP | BilinearNet | QuadraticNetwork]] = MappingProxyType(
    {"mlp": OneLayerMLP, "bilinear": BilinearNet, "quadratic": QuadraticNetwork}
)

FIRST: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"bilinear": ("W_x", "W_y", "W_U"), "mlp": ("W_x", "W_y", "W", "W_U"), "quadratic": ("U", "V", "W")}
)
"""The weights by which an architecture is told, embeddings that are not shared."""


def build_pair_network(cfg: PairNetworkConfig | Mapping[str, Any]) -> PairNetwork:
    """Return a network with drawn weights.

    Args:
        cfg: the architecture, or a mapping of its fields.

    Raises:
        ConfigError: a field is not known or missing.

    >>> build_pair_network({"architecture": "quadratic", "n": 5, "d_hidden": 4, "seed": 0}).folded()[0].shape
    torch.Size([5, 4])

    """
    config = cfg if isinstance(cfg, PairNetworkConfig) else PairNetworkConfig.from_dict(cfg)
    return CLASSES[config.architecture](config)


def pair_network_of(
    weights: Mapping[str, Tensor], dtype: torch.dtype | None = None, name: str = "custom"
) -> PairNetwork:
    """Return the network that stored weights belong to; the architecture is read off their names and shapes.

    Args:
        weights: under any of their names: `W_x, W_y, W, W_U`, `W_E_a, W_E_b, W, W_U`, with biases `b_1` … or without.
        dtype: type of the parameters; by default that of the weights.
        name: what people call it.

    Raises:
        CheckpointError: no architecture has weights of these names, or the shapes do not fit each other.

    >>> drawn = build_pair_network({"architecture": "mlp", "n": 5, "d_embed": 4, "d_hidden": 3})
    >>> pair_network_of(drawn.state_dict()).cfg.d_hidden
    3

    """
    old = {"W_E_a": "W_x", "W_E_b": "W_y"}
    shapes = {old.get(key, key): list(weight.shape) for key, weight in weights.items()}
    shared = "W_E" in shapes
    told = {"W_x", "W_y", *shapes} - {"W_E"} if shared else set(shapes)
    plain = {key for key in told if key not in ("W_2", "b_1", "b_2", "b_U")}
    architecture = next((word for word, names in FIRST.items() if plain == set(names)), None)
    embedding = shapes.get("W_E") or shapes.get("W_x") or shapes.get("U")
    if architecture is None or embedding is None or any(len(shapes[key]) != 2 for key in shapes if key[0] != "b"):
        raise CheckpointError(
            "a network of pairs has the weights W_x, W_y, W, W_U (mlp), W_x, W_y, W_U (bilinear) or U, V, W "
            f"(quadratic), all matrices; {shapes} came."
        )
    n, width = embedding
    config = PairNetworkConfig.from_dict(
        {
            "architecture": architecture,
            "n": n,
            "d_embed": None if architecture == "quadratic" else width,
            "d_hidden": {"mlp": shapes["W"][-1], "quadratic": width}.get(architecture) if "W" in shapes else None,
            "hidden_layers": 2 if "W_2" in shapes else 1,
            "biases": "b_U" in shapes,
            "shared": shared,
            "init_weights": False,
            "dtype": dtype or next(iter(weights.values())).dtype,
            "model_name": name,
        }
    )
    model = build_pair_network(config)
    model.load_state_dict(weights)
    return model

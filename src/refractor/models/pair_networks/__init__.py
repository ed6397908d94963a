"""Small networks that read two elements and answer with one: multiplication tables, learned."""

from refractor.models.pair_networks.build import build_pair_network, pair_network_of
from refractor.models.pair_networks.config import PairNetworkConfig
from refractor.models.pair_networks.mlp import OneLayerMLP
from refractor.models.pair_networks.network import PairNetwork
from refractor.models.pair_networks.products import BilinearNet, QuadraticNetwork

__all__ = [
    "BilinearNet",
    "OneLayerMLP",
    "PairNetwork",
    "PairNetworkConfig",
    "QuadraticNetwork",
    "build_pair_network",
    "pair_network_of",
]

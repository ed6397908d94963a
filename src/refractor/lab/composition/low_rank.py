"""Embeddings cut to their largest singular values: how many directions does a network need?"""

import copy

import torch
from torch import nn

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError
from refractor.lab.composition.views import Network
from refractor.models.transformer import HookedTransformer

EMBEDDINGS = ("W_x", "W_y", "W_E", "U", "V")
"""What the embeddings of networks of pairs are called."""


@torch.no_grad()
def cut_embeddings(model: Network, rank: int) -> Network:
    """Return a copy of a network whose embeddings keep their `rank` largest singular values.

    Of a transformer, the embedding of the elements is cut and that of "=" is kept.

    Args:
        model: the network; it stays as it is.
        rank: how many; at most the smaller side of an embedding.

    Raises:
        ArgumentError: rank is out of range.

    """
    cut = copy.deepcopy(model)
    if isinstance(cut, HookedTransformer):
        embedding = cut.embed.W_E
        embedding[:-1] = _cut(embedding[:-1], rank)
        return cut
    found = [name for name, _ in cut.named_parameters() if name in EMBEDDINGS]
    if not found:
        raise ArgumentError(f"a {type(model).__name__} has no embedding that is known: {', '.join(EMBEDDINGS)}.")
    for name in found:
        cut.register_parameter(name, nn.Parameter(_cut(cut.get_parameter(name), rank)))
    return cut


def _cut(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    check_int("rank", rank, least=0, most=min(matrix.shape))
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    return ((left[:, :rank] * values[:rank]) @ right[:rank]).to(matrix)

"""Embeddings cut to their largest singular values."""

import composition_by_hand as by_hand
import pytest
import torch

from refractor.base.errors import ArgumentError
from refractor.lab.composition import cut_embeddings
from refractor.models.transformer import HookedTransformer

NAMES = {"mlp": ["W_x", "W_y"], "shared": ["W_E"], "bilinear": ["W_x", "W_y"], "quadratic": ["U", "V"]}


@pytest.mark.parametrize("kind", [*NAMES, "transformer"])
@pytest.mark.parametrize("rank", [0, 3, 6])
def test_the_largest_singular_values_stay(kind: str, rank: int) -> None:
    """The best approximation of that rank: what is off is the rest of the singular values (Eckart and Young)."""
    model = by_hand.network(kind, 6)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    cut = cut_embeddings(model, rank)
    for name, parameter in cut.named_parameters():
        whole, now = before[name], parameter.detach()
        assert torch.equal(dict(model.named_parameters())[name], whole), "the network itself stays"
        if name == "embed.W_E":
            assert torch.equal(whole[6], now[6]), "the embedding of '=' stays"
            whole, now = whole[:6], now[:6]
        elif name not in NAMES.get(kind, []):
            assert torch.equal(whole, now)
            continue
        values = torch.linalg.svdvals(whole)
        torch.testing.assert_close(torch.linalg.svdvals(now)[:rank], values[:rank])
        assert int(torch.linalg.matrix_rank(now)) == rank
        torch.testing.assert_close((whole - now).norm(), values[rank:].norm(), atol=1e-10, rtol=0)


def test_a_rank_that_an_embedding_does_not_have() -> None:
    for kind in ("mlp", "transformer"):
        model = by_hand.network(kind, 6)
        most = 6
        with pytest.raises(ArgumentError, match=f"rank must be an integer from 0 to {most}; 9 came"):
            cut_embeddings(model, 9)
    assert isinstance(cut_embeddings(by_hand.network("attention", 6), 2), HookedTransformer)

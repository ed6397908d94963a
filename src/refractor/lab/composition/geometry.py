"""Measures that were proposed to tell clocks from pizzas, for any group. They are given without a label: see `verdict`.

Gradient symmetricity, distance irrelevance and circularity are those of Zhong, Liu, Tegmark and Andreas (2023, "The
Clock and the Pizza") with x · y⁻¹ in place of a - b, and irreps in place of frequencies.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refractor.base.checks import check_int, check_shape
from refractor.base.errors import ArgumentError
from refractor.groups import EntryBasis
from refractor.hooks.point import HookPoint
from refractor.lab.composition.problem import Problem
from refractor.lab.composition.views import Network
from refractor.lab.exact import exact_pair_network, exact_transformer
from refractor.models.pair_networks import OneLayerMLP
from refractor.models.transformer import HookedTransformer

TRIPLES = 1000
COMPONENTS = 4
SEED = 0
ROWS = 4096  # triples in one pass


def gradient_symmetricity(
    model: Network,
    problem: Problem,
    triples: Int[Tensor, "rows pos"] | None = None,
    count: int = TRIPLES,
    generator: torch.Generator | None = None,
) -> float:
    """Return the mean over (x, y, z) of the cosine between `∂L_z / ∂E_x` and `∂L_z / ∂E_y`.

    L_z is the logit of z for the pair (x, y), E_x and E_y what the embedding gives for each, in float64. For p = 59 and
    addition, published pizzas have 0.99 and clocks 0.33.

    Args:
        model: a transformer, or an MLP of pairs. An MLP with two embeddings compares gradients in two spaces that have
            nothing to do with each other: the mean is near 0 by chance.
        problem: what the network is asked.
        triples: elements x, y, z; drawn when left out.
        count: how many are drawn, of all n³.
        generator: what draws them; a fresh one with seed 0 when left out.

    Raises:
        ArgumentError: the network has no embedding that both elements go through, or count is below 1.
        ShapeError: triples are not [rows, 3].

    """
    n = problem.order
    if triples is None:
        check_int("count", count, least=1)
        generator = generator if generator is not None else torch.Generator().manual_seed(SEED)
        triples = torch.randint(n, (count, 3), generator=generator)
    check_shape("triples", triples, ("rows", "x, y, z"), (None, 3))
    exact = _exact(model)
    return float(torch.cat([_cosines(exact, rows, n) for rows in triples.split(ROWS)]).mean())


def _exact(model: Network) -> Network:
    if not isinstance(model, HookedTransformer | OneLayerMLP):
        raise ArgumentError(
            f"gradients at the embeddings of x and y are compared in transformers and MLPs of pairs; a "
            f"{type(model).__name__} came."
        )
    exact = exact_transformer(model) if isinstance(model, HookedTransformer) else exact_pair_network(model)
    return exact.requires_grad_(requires_grad=False)


def _cosines(model: Network, triples: Int[Tensor, "rows pos"], n: int) -> Tensor:
    """Return one cosine for each triple; a gradient of 0 counts as 0."""
    leaves: list[Tensor] = []

    def leaf(value: Tensor, hook: HookPoint) -> Tensor:
        leaves.append(value.detach().requires_grad_())
        return leaves[0]

    if isinstance(model, HookedTransformer):
        name, tokens = "hook_embed", torch.cat([triples[:, :2], torch.full((len(triples), 1), n)], 1)
    else:
        name, tokens = "embed_stack", triples[:, :2]
    with torch.enable_grad():
        logits = model.run_with_hooks(tokens, fwd_hooks=[(name, leaf)])
        last = logits[:, -1] if logits.ndim == 3 else logits
        (gradient,) = torch.autograd.grad(last.gather(1, triples[:, 2:]).sum(), leaves[0])
    if isinstance(model, HookedTransformer):
        first, second = gradient[:, 0], gradient[:, 1]
    else:
        first, second = gradient.chunk(2, dim=1)
    return torch.nn.functional.cosine_similarity(first, second, dim=1)


def distance_irrelevance(right: Float[Tensor, "x y"], problem: Problem) -> float:
    """Return the mean over d of the spread of the correct logit among pairs with x · y⁻¹ = d, over its spread in all.

    Spreads are population standard deviations. 0 where the correct logit depends on the distance alone, 1 where it says
    nothing. For addition modulo an odd p that is the published measure, `mean_d std_s M[s, d] / std M`. For p = 59
    published pizzas have 0.17 and clocks 0.85.

    Args:
        right: the logit of the right answer of each pair.
        problem: what the network is asked.

    Returns:
        The ratio; NaN where all correct logits are the same.

    """
    n = problem.order
    distances = problem.group.table[:, problem.group.inverses]  # x · y⁻¹; each value n times
    rows = right.flatten()[distances.flatten().argsort(stable=True)].unflatten(0, (n, n))
    whole = float(right.std(correction=0))
    return float(rows.std(1, correction=0).mean()) / whole if whole > 0 else math.nan


def circularity(embedding: Float[Tensor, "n width"], basis: EntryBasis, components: int = COMPONENTS) -> float:
    """Return how much of each leading principal component over elements one irrep explains, on average.

    For each of the first components v (unit vectors over elements, of the centred embedding), the largest share of one
    irrep. For cyclic groups that is `max_k (2 / n) |Σ_t v_t e^{2πikt/n}|²`, the published measure.

    Args:
        embedding: one row for each element.
        basis: orthonormal functions on the group, by irrep.
        components: how many principal components.

    Raises:
        ArgumentError: components is below 1, or larger than the embedding's width.

    """
    check_int("components", components, least=1, most=min(embedding.shape))
    vectors = torch.linalg.svd(embedding - embedding.mean(0), full_matrices=False).U[:, :components]
    return float(basis.energies(vectors)[1:].amax(0).mean())

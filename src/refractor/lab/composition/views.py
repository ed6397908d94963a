"""From logits, a small network of pairs, or a transformer to what the measures read."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.lab.composition.networks import FoldedNetwork, LiveTransformer, SecondLayer, StoredNetwork
from refractor.lab.composition.problem import Problem
from refractor.lab.composition.view import CompositionView
from refractor.lab.exact import exact_pair_network, exact_transformer
from refractor.lab.sums import Logits, checked_rows
from refractor.models.pair_networks import BilinearNet, OneLayerMLP, PairNetwork, QuadraticNetwork
from refractor.models.transformer import HookedTransformer

STORED_BYTES = 2**28  # of hidden layer and logits that a transformer's view keeps; beyond that it runs each time

Network = HookedTransformer | PairNetwork
"""What can be looked at by its weights."""

COMBINE_OF: Mapping[type[PairNetwork], str] = MappingProxyType(
    {OneLayerMLP: "relu", BilinearNet: "product", QuadraticNetwork: "square"}
)


def view_logits(logits: Logits, problem: Problem) -> CompositionView:
    """Look at anybody's logits.

    Args:
        logits: over (x, y, z), [n, n, n] or [n * n, n] with pairs in x-major order; numpy or torch.
        problem: what was asked.

    Raises:
        ShapeError: wrong axes, sizes or dtype.

    """
    return CompositionView(
        problem, StoredNetwork(problem.order, None, checked_rows(logits, problem.order, ("x", "y", "z")))
    )


def view_composition(model: Network, problem: Problem) -> CompositionView:
    """Look at a network: its weights are copied to float64 on the CPU, and user hooks take no part.

    Raises:
        ArgumentError: the network is of another order than the group, or of a kind that is not known.

    """
    n = problem.order
    if isinstance(model, PairNetwork):
        if model.cfg.n != n:
            raise ArgumentError(
                f"{problem.group.name} has {n} elements; the network is for {model.cfg.n}. Give the group it was "
                "trained on."
            )
        return _view_pair_network(model, problem)
    if (model.cfg.d_vocab, model.cfg.d_vocab_out) != (n + 1, n) or model.cfg.n_ctx < 3:
        raise ArgumentError(
            f"{problem.group.name} has {n} elements, so a transformer needs d_vocab={n + 1} (with '='), "
            f"d_vocab_out={n} and n_ctx of at least 3; d_vocab={model.cfg.d_vocab}, d_vocab_out="
            f"{model.cfg.d_vocab_out} and n_ctx={model.cfg.n_ctx} came."
        )
    return _view_transformer(model, problem)


def _view_pair_network(model: PairNetwork, problem: Problem) -> CompositionView:
    exact = exact_pair_network(model).requires_grad_(requires_grad=False)  # tables may be parameters themselves
    weights = {name: weight.detach() for name, weight in exact.named_parameters()}
    with torch.no_grad():
        first, second = exact.tables()
        plain_first, plain_second = exact.folded()
    output = weights["W"] if isinstance(model, QuadraticNetwork) else weights["W_U"]
    second_layer = SecondLayer(weights["W_2"], weights.get("b_2")) if "W_2" in weights else None
    combine = COMBINE_OF[type(model)]
    network = FoldedNetwork(first, second, combine, second_layer)
    added = second_layer is None and model.joins == "sum"
    return CompositionView(
        problem,
        network,
        first_embedding=plain_first,
        second_embedding=plain_second,
        output_map=output,
        output_bias=weights.get("b_U"),
        first_part=first if added else None,
        second_part=second if added else None,
        weights=weights,
    )


def _view_transformer(model: HookedTransformer, problem: Problem) -> CompositionView:
    n = problem.order
    exact = exact_transformer(model)
    weights = {name: weight.detach() for name, weight in exact.named_parameters()}
    output = None if exact.cfg.attn_only else _output_map(exact)
    network = LiveTransformer(exact, n)
    width = 0 if output is None else len(output)
    if 8 * n * n * (n + width) <= STORED_BYTES:
        x = torch.arange(n)
        hidden, logits = network.run(x.repeat_interleave(n), x.repeat(n))
        network = StoredNetwork(n, hidden, logits)
    embedding = weights["embed.W_E"][:n]
    return CompositionView(
        problem,
        network,
        first_embedding=embedding,
        second_embedding=embedding,
        output_map=output,
        whole=False,
        weights=weights,
    )


@torch.no_grad()
def _output_map(model: HookedTransformer) -> Float[Tensor, "neuron z"]:
    """Return `W_out W_U` of the last layer."""
    return model.blocks[-1].mlp.W_out @ model.unembed.W_U

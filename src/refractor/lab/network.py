"""What a transformer does with every pair (a, b): logits, neurons and attention at the position that answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.hooks.cache import ActivationCache
from refractor.lab.exact import exact_transformer
from refractor.lab.labelled import Labelled
from refractor.models.transformer import HookedTransformer
from refractor.training.last_position import last_logits

ROWS = 512  # pairs per pass: at p = 113 small passes are twice as fast as one, since nothing leaves the caches
POSITIONS = ("a", "b", "=")


@dataclass(frozen=True, eq=False)
class NetworkView:
    """A network's weights and its activations at "=", over all pairs, in float64 on the CPU.

    Args:
        p: the modulus.
        logits: over (pair, c), pairs in a-major order.
        embedding: W_E of the tokens 0 … p - 1, over (token, width).
        neurons: activations of the last layer's MLP over (pair, neuron); None without MLPs.
        neuron_logit_map: `W_out W_U` of the last layer over (neuron, c); None without MLPs. Norms between the two
            are not part of it.
        attention: attention from "=" over (layer, head, key_pos, a, b).
        weights: the parameters by name.

    """

    p: int
    logits: Float[Tensor, "pairs p"] = field(repr=False)
    embedding: Float[Tensor, "p width"] = field(repr=False)
    neurons: Float[Tensor, "pairs neuron"] | None = field(repr=False)
    neuron_logit_map: Float[Tensor, "neuron p"] | None = field(repr=False)
    attention: Labelled
    weights: dict[str, Tensor] = field(repr=False)


def view_network(model: HookedTransformer, tokens: Tensor, p: int) -> NetworkView:
    """Run a network on all p² pairs, in float64, and keep what the measures read.

    The weights are copied; hooks that a user put on `model` take no part. To measure an edited network, analyse its
    logits.

    Args:
        model: the network. Its last position answers; its first p tokens and p outputs are the numbers.
        tokens: all pairs in a-major order, [p * p, pos] with a and b at positions 0 and 1.
        p: the modulus.

    Raises:
        ShapeError: tokens are not [p * p, pos].
        ArgumentError: the network has fewer than p tokens, or not p outputs.

    """
    exact = _exact(model, tokens, p)
    weights = {name: weight.detach() for name, weight in exact.named_parameters()}
    last, has_mlp = exact.cfg.n_layers - 1, not exact.cfg.attn_only
    logits, neurons, attention = _run(exact, tokens.cpu(), last if has_mlp else None)
    heads = attention.reshape(p, p, *attention.shape[1:]).permute(2, 3, 4, 0, 1)
    positions = POSITIONS if tokens.shape[1] == len(POSITIONS) else tuple(str(i) for i in range(tokens.shape[1]))
    return NetworkView(
        p,
        logits,
        exact.embed.W_E.detach()[:p],
        neurons,
        neuron_logit_map(exact),
        Labelled(heads, ("layer", "head", "key_pos", "a", "b"), {"key_pos": positions}),
        weights,
    )


def neuron_logit_map(model: HookedTransformer) -> Float[Tensor, "neuron p"] | None:
    """Return `W_out W_U` of the last layer in float64; None without MLPs."""
    if model.cfg.attn_only:
        return None
    return model.blocks[-1].mlp.W_out.detach().cpu().double() @ model.unembed.W_U.detach().cpu().double()


def network_logits(model: HookedTransformer, tokens: Tensor, p: int) -> Float[Tensor, "pairs p"]:
    """Return the logits of all p² pairs in float64: what `view_network` has, and nothing else, for less time.

    Arguments and errors are those of `view_network`.
    """
    exact = _exact(model, tokens, p)
    with torch.no_grad():
        return torch.cat([last_logits(exact, rows).clone() for rows in tokens.cpu().split(ROWS)])


def _exact(model: HookedTransformer, tokens: Tensor, p: int) -> HookedTransformer:
    """Return a copy of the network in float64 on the CPU, if it fits the task."""
    if tokens.ndim != 2 or tokens.shape[0] != p * p:
        raise ShapeError(f"tokens must have shape [pairs={p * p}, pos]; {list(tokens.shape)} came.")
    if model.cfg.d_vocab < p or model.cfg.d_vocab_out != p:
        raise ArgumentError(
            f"a network for p={p} needs at least {p} tokens and exactly {p} outputs; d_vocab={model.cfg.d_vocab} and "
            f"d_vocab_out={model.cfg.d_vocab_out} came."
        )
    return exact_transformer(model)


def _run(
    model: HookedTransformer, tokens: Tensor, mlp_layer: int | None
) -> tuple[Float[Tensor, "pairs p"], Float[Tensor, "pairs neuron"] | None, Float[Tensor, "pairs layer head key_pos"]]:
    layers = range(model.cfg.n_layers)
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in layers]
    if mlp_layer is not None:
        names.append(f"blocks.{mlp_layer}.mlp.hook_post")
    logits, neurons, patterns = [], [], []
    with torch.no_grad():
        for rows in tokens.split(ROWS):
            output, cache = model.run_with_cache(rows, names_filter=names)
            logits.append(output[:, -1].clone())
            patterns.append(_patterns(cache, layers))
            if mlp_layer is not None:
                neurons.append(cache["post", mlp_layer, "mlp"][:, -1].clone())
    return torch.cat(logits), torch.cat(neurons) if neurons else None, torch.cat(patterns)


def _patterns(cache: ActivationCache, layers: Sequence[int]) -> Float[Tensor, "batch layer head key_pos"]:
    return torch.stack([cache["pattern", layer][:, :, -1] for layer in layers], 1)

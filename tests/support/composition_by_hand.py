"""The measures of group composition as their definitions read: over all n³ triples or n² pairs, no shortcut, float64."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from refractor.groups import Group, Irrep, Irreps
from refractor.models.config import HookedTransformerConfig
from refractor.models.pair_networks import OneLayerMLP, PairNetwork, build_pair_network
from refractor.models.transformer import HookedTransformer
from refractor.tasks import Split, split_rows

THRESHOLD = 0.005
TIE = 1e-12  # of the largest logit

NETWORKS = {
    "mlp": {"architecture": "mlp", "d_embed": 7, "d_hidden": 9},
    "biased": {"architecture": "mlp", "d_embed": 7, "d_hidden": 9, "biases": True},
    "shared": {"architecture": "mlp", "d_embed": 7, "d_hidden": 9, "shared": True, "biases": True},
    "two layers": {"architecture": "mlp", "d_embed": 7, "d_hidden": 9, "hidden_layers": 2, "biases": True},
    "bilinear": {"architecture": "bilinear", "d_embed": 9},
    "quadratic": {"architecture": "quadratic", "d_hidden": 9},
}
"""Configurations of small networks of pairs, by what is special about them."""


def network(kind: str, n: int, seed: int = 0) -> HookedTransformer | PairNetwork:
    """A network with large random weights, biases as well, so that its logits differ widely."""
    if kind in NETWORKS:
        model = build_pair_network({**NETWORKS[kind], "n": n, "seed": seed, "dtype": "float64"})
    else:
        model = HookedTransformer(
            HookedTransformerConfig(
                n_layers=1, n_heads=2, d_model=8, d_head=4, d_mlp=None if kind == "attention" else 9, d_vocab=n + 1,
                d_vocab_out=n, n_ctx=3, act_fn="relu", attn_only=kind == "attention", normalization_type=None,
                seed=seed, dtype=torch.float64,
            )
        )  # fmt: skip
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    return model


def answers(group: Group, operation: str = "product") -> Tensor:
    """The right answer of every pair, product by product."""
    n = group.order
    return torch.tensor(
        [
            [group.product(x, y if operation == "product" else int(group.inverses[y])) for y in range(n)]
            for x in range(n)
        ]
    )


def projector(functions: Tensor) -> Tensor:
    """The orthogonal projection on the span of some columns, dependent ones included."""
    return functions @ torch.linalg.pinv(functions, rtol=1e-9)


def entries(irrep: Irrep) -> Tensor:
    return irrep.matrices.reshape(len(irrep.matrices), -1)


def over_pairs(irrep: Irrep, index: Tensor) -> Tensor:
    """The projection on the entries of ρ(index[x, y]) as functions of the n² pairs."""
    return projector(entries(irrep)[index.flatten()])


def cube(irrep: Irrep, group: Group, right: Tensor) -> Tensor:
    """χ(w z⁻¹) for all (x, y, z), w the right answer of (x, y), by products of matrices."""
    rho = irrep.matrices
    left = rho[right.flatten()]
    return torch.einsum("pij,zji->pz", left, rho[group.inverses])


def score(logits: Tensor, right: Tensor, rows: Tensor | None = None) -> tuple[float, float]:
    """Mean cross-entropy and accuracy; m answers that share the highest logit count 1/m each."""
    wanted = right.flatten()
    if rows is not None:
        logits, wanted = logits[rows], wanted[rows]
    loss = float(torch.nn.functional.cross_entropy(logits, wanted))
    best = logits >= logits.amax(1, keepdim=True) - TIE * float(logits.abs().max())
    hits = best[torch.arange(len(best)), wanted].double() / best.sum(1)
    return loss, float(hits.mean())


@dataclass(frozen=True, eq=False)
class Run:
    """What a network gives for all pairs, x-major, and its weights by role.

    Args:
        logits: over (pair, z).
        hidden: over (pair, neuron); None without one.
        read: hidden layer times output map, with the output bias; the logits without one.
        output_map: hidden layer to logits.
        first: what it reads of x.
        second: what it reads of y.
        weights: all parameters.

    """

    logits: Tensor
    hidden: Tensor | None
    read: Tensor
    output_map: Tensor | None
    first: Tensor
    second: Tensor
    weights: list[Tensor]


@torch.no_grad()
def run(model: HookedTransformer | PairNetwork, n: int) -> Run:
    """Run a float64 network on all pairs, through its own forward pass and hooks."""
    x = torch.arange(n)
    tokens = torch.stack([x.repeat_interleave(n), x.repeat(n), torch.full((n * n,), n)], 1)
    logits, cache = model.run_with_cache(tokens)
    weights = [parameter.detach() for parameter in model.parameters()]
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}
    if isinstance(model, HookedTransformer):
        embedding = model.embed.W_E.detach()[:n]
        if model.cfg.attn_only:
            return Run(logits[:, -1], None, logits[:, -1], None, embedding, embedding, weights)
        hidden = cache["blocks.0.mlp.hook_post"][:, -1]
        output = model.blocks[0].mlp.W_out @ model.unembed.W_U
        return Run(logits[:, -1], hidden, hidden @ output, output, embedding, embedding, weights)
    output = named["W"] if "V" in named else named["W_U"]
    hidden = cache["hidden_2" if "W_2" in named else "hidden"]
    if isinstance(model, OneLayerMLP):
        half = named["W"].shape[0] // 2
        embeddings = [named[name if name in named else "W_E"] for name in ("W_x", "W_y")]
        first, second = embeddings[0] @ named["W"][:half], embeddings[1] @ named["W"][half:]
    else:
        first, second = (named[name] for name in (("U", "V") if "V" in named else ("W_x", "W_y")))
    return Run(logits, hidden, hidden @ output + named.get("b_U", 0.0), output, first, second, weights)


def similarities(logits: Tensor, irreps: Irreps, right: Tensor) -> dict[str, float]:
    """The cosine between the logits, centred over outputs, and each character, over all n³ triples."""
    centred = logits - logits.mean(1, keepdim=True)
    found = {}
    for irrep in list(irreps)[1:]:
        traces = cube(irrep, irreps.group, right)
        found[irrep.name] = float((centred * traces).sum() / (centred.norm() * traces.norm()))
    return found


def logit_figures(
    logits: Tensor, read: Tensor, irreps: Irreps, right: Tensor, chosen: Sequence[str], split: Split | None
) -> dict[str, float]:
    """Scores, similarities, and every restricted and excluded loss, by the names of the table of measures."""
    sets = {"all": None} if split is None else {"all": None, "train": split.train, "test": split.test}
    figures: dict[str, float] = {}
    for where, rows in sets.items():
        figures[f"{where}_loss"], figures[f"{where}_acc"] = score(logits, right, rows)
    similar = similarities(logits, irreps, right)
    figures |= {f"logit_{name}_rep_trace_similarity": value for name, value in similar.items()}
    figures["percent_logits_explained"] = sum(value**2 for value in similar.values())
    part = {irrep.name: over_pairs(irrep, right) for irrep in irreps}
    for name, group_of in {"": list(chosen), **{f".r={one}": [one] for one in irreps.names}}.items():
        kept = sum((part[one] for one in group_of), torch.zeros_like(part["trivial"])) @ logits
        for where, rows in sets.items():
            for stem, values in (
                ("rep_restricted_{}", kept),
                ("rep_restricted_{}_with_mean", kept + logits.mean(0)),
                ("rep_excluded_{}", logits - kept),
            ):
                loss, accuracy = score(values, right, rows)
                figures[f"{stem.format('loss')}.{where}{name}"] = loss
                if not name:
                    figures[f"{stem.format('accuracy')}.{where}"] = accuracy
    keys = [name for name, value in similar.items() if value > THRESHOLD]
    return {**figures, **_study_figures(logits, read, irreps, right, keys, sets.get("train"), part)}


def _study_figures(
    logits: Tensor,
    read: Tensor,
    irreps: Irreps,
    right: Tensor,
    keys: list[str],
    train: Tensor | None,
    part: dict[str, Tensor],
) -> dict[str, float]:
    """The losses of the study: restricted on all pairs, excluded on those trained on; of rows, and of single characters."""
    figures = {}
    direction = {}
    centred = logits - logits.mean(1, keepdim=True)
    for irrep in list(irreps)[1:]:
        unit = cube(irrep, irreps.group, right)
        unit = unit / unit.norm()
        direction[irrep.name] = unit * (unit * centred).sum()
    for kind, values, parts in (
        ("hidden", read, {name: one @ read for name, one in part.items()}),
        ("logit", logits, direction),
    ):
        for label, names in {"total": keys, **{name: [name] for name in parts}}.items():
            kept = sum((parts[name] for name in names), torch.zeros_like(values))
            restricted, excluded = (
                (f"total_{kind}_{what}_loss" if label == "total" else f"{kind}_{what}_loss_{label}_rep")
                for what in ("restricted", "excluded")
            )
            figures[restricted] = score(kept, right)[0]
            figures[excluded] = score(values - kept, right, train)[0]
    if len(keys) == 0:
        assert math.isclose(figures["total_hidden_restricted_loss"], math.log(irreps.group.order))
    return figures


def share(projection: Tensor, matrix: Tensor) -> float:
    return float((projection @ matrix).square().sum() / matrix.square().sum())


def weight_figures(found: Run, irreps: Irreps, right: Tensor, keys: Sequence[str]) -> dict[str, float]:
    """The shares of embeddings, unembedding and hidden layer, by the names of the table of measures."""
    n = irreps.group.order
    figures = {"sum_of_squared_weights": float(sum(weight.square().sum() for weight in found.weights))}
    matrices = {"x_embed": found.first, "y_embed": found.second}
    if found.output_map is not None:
        matrices["unembed"] = found.output_map.T
    for stem, matrix in matrices.items():
        for irrep in irreps:
            one = projector(entries(irrep))
            figures[f"percent_{stem}_{irrep.name}_rep"] = share(one, matrix)
            if stem != "unembed":
                centred = share(one, matrix - matrix.mean(0)) if irrep.name != "trivial" else 0.0
                figures[f"centred_percent_{stem}_{irrep.name}_rep"] = centred
        figures[f"percent_{stem}_explained"] = sum(figures[f"percent_{stem}_{name}_rep"] for name in keys)
    if found.hidden is None:
        return figures
    centred = found.hidden - found.hidden.mean(0)
    x = torch.arange(n)
    index = {"x": x[:, None].expand(n, n), "y": x[None].expand(n, n), "xy": right}
    for irrep in irreps:
        total = 0.0
        for side, of_pairs in index.items():
            value = share(over_pairs(irrep, of_pairs), centred)
            figures[f"percent_hidden_{side}_{irrep.name}_rep"] = value
            total += value
        figures[f"total_percent_hidden_{irrep.name}_rep"] = total
    figures["percent_hidden_explained"] = sum(figures[f"total_percent_hidden_{name}_rep"] for name in keys)
    figures["percent_hidden_xy_explained"] = sum(figures[f"percent_hidden_xy_{name}_rep"] for name in keys)
    functions = torch.cat([entries(irreps[name]) for name in ("trivial", *keys)], 1)
    products = torch.einsum("xi,yj->xyij", functions, functions).reshape(n * n, -1)
    figures["two_sided_hidden_explained"] = share(projector(products), centred)
    return figures


def split_of(n: int, seed: int = 3) -> Split:
    return split_rows(n * n, 0.4, seed)

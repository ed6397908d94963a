"""The two factors of each head's circuits, brought into the basis of their singular vectors."""

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.numerics import LAW_TOLERANCE
from refractor.models.config import HookedTransformerConfig
from refractor.models.rewrites.anatomy import attention_names, check_weights
from refractor.models.rewrites.exactness import check_exact
from refractor.models.rewrites.value_biases import fold_value_biases


@torch.no_grad()
def refactor_factored_attn_matrices(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> HookedTransformerConfig:
    """Write each head's QK and OV circuit in the basis of its singular vectors, largest singular value first.

    A head computes `W_Q W_Kᵀ` and `W_V W_O` only; the basis of its d_head dimensions is free (Elhage et al. 2021). With
    `[W_Q; b_Q] [W_K; b_K]ᵀ = U S Vᵀ`, the biases being one more row, `[W_Q; b_Q] = U √S` and `[W_K; b_K] = V √S`. With
    `W_V W_O = U S Vᵀ`, `W_V = U S` and `W_O = Vᵀ`. The entry of largest size of each column of U is positive; where a
    circuit has fewer singular values than d_head, zeros follow. Biases of values are folded first, as
    `fold_value_biases` does.

    Heads that are written so already are left as they are. Decompositions run in float64 on the CPU.

    Args:
        state: the weights; changed in place.
        cfg: their architecture.

    Returns:
        `cfg`.

    Raises:
        ConfigError: the basis is not free: shared keys and values, rotary positions, or norms of queries and keys.
        CheckpointError: a weight is missing or has another shape; nothing is changed then.

    >>> from refractor.models import HookedTransformer, HookedTransformerConfig
    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, attn_only=True, seed=0)
    >>> state = HookedTransformer(cfg).state_dict()
    >>> cfg = refactor_factored_attn_matrices(state, cfg)
    >>> W_O = state["blocks.0.attn.W_O"][0]
    >>> bool((W_O @ W_O.T - torch.eye(4)).abs().max() < 1e-6)
    True

    """
    check_refactor(state, cfg)
    fold_value_biases(state, cfg)
    for layer in range(cfg.n_layers):
        weights = {leaf: state[name] for leaf, name in attention_names(cfg, layer).items()}
        for head in range(cfg.n_heads):
            one = {leaf: weight[head] for leaf, weight in weights.items() if leaf != "b_O"}
            _refactor_scores(one["W_Q"], one["b_Q"], one["W_K"], one["b_K"])
            _refactor_output(one["W_V"], one["W_O"])
    return cfg


def check_refactor(state: dict[str, Tensor], cfg: HookedTransformerConfig) -> None:
    """Raise unless `refactor_factored_attn_matrices` is exact and finds what it needs."""
    check_exact("refactor_factored_attn_matrices", cfg)
    check_weights(state, cfg, [name for layer in range(cfg.n_layers) for name in attention_names(cfg, layer).values()])


def _refactor_scores(
    W_Q: Float[Tensor, "d_model d_head"],
    b_Q: Float[Tensor, " d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    b_K: Float[Tensor, " d_head"],
) -> None:
    queries, keys = (torch.cat([_exact(W), _exact(b).unsqueeze(0)]) for W, b in ((W_Q, b_Q), (W_K, b_K)))
    tolerance = LAW_TOLERANCE[W_Q.dtype]
    of_queries, of_keys = _sizes_if_orthogonal(queries, tolerance), _sizes_if_orthogonal(keys, tolerance)
    if of_queries is not None and of_keys is not None and torch.allclose(of_queries, of_keys, rtol=tolerance, atol=0):
        return
    left, values, right = _svd(queries, keys, W_Q.dtype)
    for W, b, sides in ((W_Q, b_Q, left), (W_K, b_K, right)):
        even = sides * values.sqrt()
        W.copy_(even[:-1])
        b.copy_(even[-1])


def _refactor_output(W_V: Float[Tensor, "d_model d_head"], W_O: Float[Tensor, "d_head d_model"]) -> None:
    read, written = _exact(W_V), _exact(W_O).T
    tolerance = LAW_TOLERANCE[W_V.dtype]
    sizes, ones = _sizes_if_orthogonal(read, tolerance), _sizes_if_orthogonal(written, tolerance)
    if sizes is not None and ones is not None:
        unused = (ones == 0) & (sizes == 0)
        if bool(((ones - 1).abs() <= tolerance).logical_or(unused).all()):
            return
    left, values, right = _svd(read, written, W_V.dtype)
    W_V.copy_(left * values)
    W_O.copy_(right.T)


def _exact(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float64)


def _svd(
    left: Float[Tensor, "ldim d_head"], right: Float[Tensor, "rdim d_head"], stored: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, S, V of `left rightᵀ`, with d_head columns: zeros where no direction is left.

    Both sides are reduced to triangles first, so the matrix that is decomposed is no wider than d_head. Singular values
    that are rounding of the dtype in which the weights are stored count as 0: their vectors would be arbitrary.
    """
    basis_left, upper_left = torch.linalg.qr(left)
    basis_right, upper_right = torch.linalg.qr(right)
    U, S, Vh = torch.linalg.svd(upper_left @ upper_right.T, full_matrices=False)
    rounding = len(S) * torch.finfo(S.dtype).eps if stored == torch.float64 else torch.finfo(torch.float32).eps
    used = (rounding * S[0] < S).to(S.dtype)
    U, V = basis_left @ U, basis_right @ Vh.T
    largest = U.gather(0, U.abs().argmax(0, keepdim=True))
    sign = used * torch.where(largest < 0, -1.0, 1.0).to(U.dtype)
    missing = (0, left.shape[-1] - len(S))
    pad = torch.nn.functional.pad
    return pad(U * sign, missing), pad(S * used, missing), pad(V * sign, missing)


def _sizes_if_orthogonal(columns: Float[Tensor, "rows d_head"], tolerance: float) -> Tensor | None:
    """Return the squared lengths of the columns if these are orthogonal and none is longer than the one before."""
    gram = columns.T @ columns
    sizes = gram.diagonal()
    angles = (gram - sizes.diag()).abs()
    orthogonal = bool((angles <= tolerance * sizes.outer(sizes).sqrt()).all())
    falling = bool((sizes[1:] <= sizes[:-1] * (1 + tolerance)).all())
    return sizes if orthogonal and falling else None

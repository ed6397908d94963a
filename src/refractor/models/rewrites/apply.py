"""Several rewrites in the right order, checked before the first of them changes anything."""

from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.models.config import HookedTransformerConfig
from refractor.models.rewrites import centering, factored, folding, value_biases
from refractor.models.rewrites.exactness import REWRITES, why_not

__all__ = ["REWRITES", "defaults", "rewrite"]

_STEPS = {
    "fold_ln": (folding.check_fold, folding.fold_ln),
    "fold_value_biases": (value_biases.check_fold_value_biases, value_biases.fold_value_biases),
    "center_writing_weights": (centering.check_center_writing, centering.center_writing_weights),
    "center_unembed": (centering.check_center_unembed, centering.center_unembed),
    "refactor_factored_attn_matrices": (factored.check_refactor, factored.refactor_factored_attn_matrices),
}
"""In the order in which they are carried out. ln1's bias goes into b_V, which then goes into b_O, which then loses its
mean; the basis of heads is found last, when their weights are final."""


def defaults(cfg: HookedTransformerConfig) -> dict[str, bool]:
    """Return which rewrites a trained network gets when nothing is said: all that are exact for it but the last.

    >>> from refractor.models import HookedTransformerConfig
    >>> cfg = dict(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu")
    >>> [name for name, on in defaults(HookedTransformerConfig(**cfg)).items() if on]
    ['fold_ln', 'center_writing_weights', 'center_unembed', 'fold_value_biases']
    >>> defaults(HookedTransformerConfig(**cfg, normalization_type="RMS"))["center_writing_weights"]
    False

    """
    return {name: name != "refactor_factored_attn_matrices" and why_not(name, cfg) is None for name in REWRITES}


def rewrite(
    state: dict[str, Tensor],
    cfg: HookedTransformerConfig,
    *,
    fold_ln: bool,
    center_writing_weights: bool,
    center_unembed: bool,
    fold_value_biases: bool,
    refactor_factored_attn_matrices: bool,
) -> tuple[HookedTransformerConfig, tuple[str, ...]]:
    """Carry out the rewrites that are asked for, in place and in the right order.

    All of them are checked first: when one cannot be done, nothing is changed.

    Args:
        state: the weights; changed in place, and those of folded norms are removed.
        cfg: their architecture.
        fold_ln: see `fold_ln`.
        center_writing_weights: see `center_writing_weights`.
        center_unembed: see `center_unembed`.
        fold_value_biases: see `fold_value_biases`.
        refactor_factored_attn_matrices: see `refactor_factored_attn_matrices`, which folds the biases of values too.

    Returns:
        The architecture of the new weights, and the names of the rewrites in the order in which they were done.

    Raises:
        ConfigError: one is not exact for this architecture; the message says which and why.
        CheckpointError: a weight is missing or has another shape.

    >>> from refractor.models import HookedTransformer, HookedTransformerConfig
    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0)
    >>> state = HookedTransformer(cfg).state_dict()
    >>> cfg, done = rewrite(state, cfg, **defaults(cfg))
    >>> cfg.normalization_type, done
    ('LNPre', ('fold_ln', 'fold_value_biases', 'center_writing_weights', 'center_unembed'))

    """
    asked = {
        "fold_ln": fold_ln,
        "center_writing_weights": center_writing_weights,
        "center_unembed": center_unembed,
        "fold_value_biases": fold_value_biases or refactor_factored_attn_matrices,
        "refactor_factored_attn_matrices": refactor_factored_attn_matrices,
    }
    for name, value in asked.items():
        if not isinstance(value, bool):
            raise ArgumentError(f"{name} must be True or False; {value!r} came.")
    done = tuple(name for name in _STEPS if asked[name])
    for name in done:
        _STEPS[name][0](state, cfg)
    for name in done:
        cfg = _STEPS[name][1](state, cfg)
    return cfg, done

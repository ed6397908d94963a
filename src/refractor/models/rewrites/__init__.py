"""Rewrites of weights that keep the logits (or the log-probabilities): functions from state to state, in place.

A state is a dict from parameter names to tensors. Nothing is guessed from a shape, nothing is copied but a tied
unembedding, and where a rewrite is not exact for an architecture it refuses and says why.
"""

from refractor.models.rewrites.apply import REWRITES, defaults, rewrite
from refractor.models.rewrites.centering import center_unembed, center_writing_weights
from refractor.models.rewrites.factored import refactor_factored_attn_matrices
from refractor.models.rewrites.folding import fold_ln
from refractor.models.rewrites.value_biases import fold_value_biases

__all__ = [
    "REWRITES",
    "center_unembed",
    "center_writing_weights",
    "defaults",
    "fold_ln",
    "fold_value_biases",
    "refactor_factored_attn_matrices",
    "rewrite",
]

"""The transformer, readable top to bottom."""

from refractor.models.config import HookedTransformerConfig
from refractor.models.loss import lm_cross_entropy_loss
from refractor.models.transformer import HookedTransformer

__all__ = ["HookedTransformer", "HookedTransformerConfig", "lm_cross_entropy_loss"]

"""Networks of a family's architecture with random weights: for shapes and timings where trained ones cannot be had."""

from collections.abc import Mapping
from typing import Any

from refractor.checkpoints.adapters.rules import Adapter
from refractor.checkpoints.load import family_of
from refractor.checkpoints.sources import ModelFiles
from refractor.checkpoints.weight_files import InMemoryWeights
from refractor.models.provenance import Provenance
from refractor.models.transformer import HookedTransformer


def drawn(
    config: Mapping[str, Any], seed: int = 0, name: str = "drawn", adapter: Adapter | None = None
) -> HookedTransformer:
    """Return a network of a family's configuration, its weights drawn; `save_pretrained` writes it as a checkpoint.

    Matrices are normal with s.d. `0.8 / sqrt(d_model)`, biases 0, norms 1. What the configuration ties is tied.

    Args:
        config: as in the family's `config.json`.
        seed: of the weights.
        name: what the network is called.
        adapter: of a family that is not among `checkpoints.adapters.ADAPTERS`.

    Raises:
        CheckpointError: the family or a key of the configuration is not known.

    >>> config = dict(model_type="gpt2", n_layer=1, n_embd=8, n_head=2, n_positions=4, vocab_size=5)
    >>> model = drawn(config)
    >>> model.is_tied, model.cfg.d_mlp
    (True, 32)

    """
    family = family_of(ModelFiles(dict(config), InMemoryWeights({}), None, name), adapter)
    cfg = family.cfg
    model = HookedTransformer({**cfg.to_dict(), "seed": seed, "init_weights": True})
    rules = family.adapter.rules(cfg, config)
    both = [rule for rule in rules if rule.ours == ("embed.W_E", "unembed.W_U") and rule.layout.write is not None]
    if both:
        model.embed.W_E.data, model.unembed.W_U.data = both[0].layout.read([model.embed.W_E.data], cfg)
    elif family.tied:
        model.unembed.W_U.data = model.embed.W_E.data.T
    model.provenance = Provenance(name, f"seed {seed}", str(config["model_type"]), None, (), dict(config))
    return model

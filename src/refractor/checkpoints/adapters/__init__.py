"""The families: one small adapter each, found by `model_type`."""

from collections.abc import Mapping
from types import MappingProxyType

from refractor.base.errors import CheckpointError, nearest
from refractor.checkpoints.adapters.bloom import BLOOM
from refractor.checkpoints.adapters.falcon import FALCON
from refractor.checkpoints.adapters.gemma import GEMMA, GEMMA2, GEMMA3
from refractor.checkpoints.adapters.gpt2 import GPT2
from refractor.checkpoints.adapters.gpt_neo import GPT_NEO
from refractor.checkpoints.adapters.gpt_neox import GPT_NEOX
from refractor.checkpoints.adapters.gptj import GPTJ
from refractor.checkpoints.adapters.llama import LLAMA, MISTRAL, MIXTRAL, QWEN2, QWEN3
from refractor.checkpoints.adapters.olmo2 import OLMO2
from refractor.checkpoints.adapters.opt import OPT
from refractor.checkpoints.adapters.phi import PHI, PHI3
from refractor.checkpoints.adapters.rules import Adapter
from refractor.checkpoints.adapters.stablelm import STABLELM

_ALL = (
    *(GPT2, GPT_NEO, GPTJ, GPT_NEOX, OPT, BLOOM, FALCON, LLAMA, MISTRAL, MIXTRAL, QWEN2, QWEN3),
    *(GEMMA, GEMMA2, GEMMA3, PHI, PHI3, STABLELM, OLMO2),
)

ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {model_type: adapter for adapter in _ALL for model_type in adapter.model_types}
)
"""Adapters by `model_type`."""


def adapter_of(config: Mapping[str, object], name: str) -> Adapter:
    """Return the adapter of a configuration.

    Args:
        config: the configuration.
        name: what the model is called, for the message.

    Raises:
        CheckpointError: the family is not known; the nearest is named.

    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise CheckpointError(f"the configuration of {name} does not say which family it is: it has no 'model_type'.")
    if model_type in ADAPTERS:
        return ADAPTERS[model_type]
    near = nearest(model_type, ADAPTERS) or sorted(ADAPTERS)
    raise CheckpointError(
        f"{name} is of the family {model_type!r}, for which there is no adapter. Nearest: {', '.join(near)}. "
        "To add one, describe its configuration and its tensors as an Adapter, as the files in "
        "refractor/checkpoints/adapters do, and pass it as load(..., adapter=...)."
    )

"""Short names of models, as notebooks write them, and the training steps that Pythia's authors published.

A short name stands for a repository of the Hugging Face hub, `owner/name`. Case does not matter.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from refractor.base.checks import check_int
from refractor.base.errors import ArgumentError, unknown_name

PYTHIA_SIZES = "70m 160m 410m 1b 1.4b 2.8b 6.9b 12b"

SINGLE: Mapping[str, str] = MappingProxyType(
    {
        "gpt2": "openai-community/gpt2",
        "gpt2-small": "openai-community/gpt2",
        "distilgpt2": "distilbert/distilgpt2",
        "distil-gpt2": "distilbert/distilgpt2",
        "gpt-neo-125m": "EleutherAI/gpt-neo-125m",
        "gpt-neo-1.3b": "EleutherAI/gpt-neo-1.3B",
        "gpt-neo-2.7b": "EleutherAI/gpt-neo-2.7B",
        "gpt-neo-small": "EleutherAI/gpt-neo-125m",
        "gpt-neo-medium": "EleutherAI/gpt-neo-1.3B",
        "gpt-neo-large": "EleutherAI/gpt-neo-2.7B",
        "gpt-j": "EleutherAI/gpt-j-6b",
        "gpt-j-6b": "EleutherAI/gpt-j-6b",
        "gpt-neox": "EleutherAI/gpt-neox-20b",
        "gpt-neox-20b": "EleutherAI/gpt-neox-20b",
        "bloom": "bigscience/bloom",
        "mistral-7b": "mistralai/Mistral-7B-v0.1",
        "mistral-7b-instruct": "mistralai/Mistral-7B-Instruct-v0.1",
        "mixtral": "mistralai/Mixtral-8x7B-v0.1",
        "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
        "mixtral-instruct": "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "mixtral-8x7b-instruct": "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "gemma-3-270m": "google/gemma-3-270m",
        "gemma-3-270m-it": "google/gemma-3-270m-it",
        "gemma-3-1b": "google/gemma-3-1b-pt",
        "gemma-3-1b-it": "google/gemma-3-1b-it",
        "phi-1": "microsoft/phi-1",
        "phi-1.5": "microsoft/phi-1_5",
        "phi-2": "microsoft/phi-2",
        "phi-3": "microsoft/Phi-3-mini-4k-instruct",
        "phi-3-mini": "microsoft/Phi-3-mini-4k-instruct",
        "phi-3-medium": "microsoft/Phi-3-medium-4k-instruct",
        "stablelm-3b": "stabilityai/stablelm-3b-4e1t",
        "stablelm-3b-4e1t": "stabilityai/stablelm-3b-4e1t",
        "stablelm-2-1.6b": "stabilityai/stablelm-2-1_6b",
        "stablelm-2-12b": "stabilityai/stablelm-2-12b",
        "stablelm-base-alpha-3b": "stabilityai/stablelm-base-alpha-3b",
        "stablelm-base-alpha-7b": "stabilityai/stablelm-base-alpha-7b",
        "olmo-2-1b": "allenai/OLMo-2-0425-1B",
        "olmo-2-7b": "allenai/OLMo-2-1124-7B",
        "olmo-2-13b": "allenai/OLMo-2-1124-13B",
        "olmo-2-32b": "allenai/OLMo-2-0325-32B",
        "olmo-2-1b-instruct": "allenai/OLMo-2-0425-1B-Instruct",
        "olmo-2-7b-instruct": "allenai/OLMo-2-1124-7B-Instruct",
        "olmo-2-13b-instruct": "allenai/OLMo-2-1124-13B-Instruct",
        "olmo-2-32b-instruct": "allenai/OLMo-2-0325-32B-Instruct",
        "tiny-stories-1l-21m": "roneneldan/TinyStories-1Layer-21M",
        "tiny-stories-2l-33m": "roneneldan/TinyStories-2Layers-33M",
    }
)
"""Short names that follow no rule."""

SIZED: tuple[tuple[str, str, str], ...] = (
    ("gpt2-{}", "openai-community/gpt2-{}", "medium large xl"),
    ("pythia-{}", "EleutherAI/pythia-{}", f"14m 31m {PYTHIA_SIZES}"),
    ("pythia-{}-deduped", "EleutherAI/pythia-{}-deduped", PYTHIA_SIZES),
    ("opt-{}", "facebook/opt-{}", "125m 350m 1.3b 2.7b 6.7b 13b 30b 66b"),
    ("bloom-{}", "bigscience/bloom-{}", "560m 1b1 1b7 3b 7b1"),
    ("falcon-{}", "tiiuae/falcon-{}", "rw-1b rw-7b 7b 7b-instruct 40b 40b-instruct"),
    ("llama-{}", "huggyllama/llama-{}", "7b 13b 30b 65b"),
    ("llama-2-{}", "meta-llama/Llama-2-{}-hf", "7b 13b 70b"),
    ("llama-2-{}-chat", "meta-llama/Llama-2-{}-chat-hf", "7b 13b 70b"),
    ("llama-3-{}", "meta-llama/Meta-Llama-3-{}", "8B 70B"),
    ("llama-3-{}-instruct", "meta-llama/Meta-Llama-3-{}-Instruct", "8B 70B"),
    ("llama-3.1-{}", "meta-llama/Llama-3.1-{}", "8B 70B"),
    ("llama-3.1-{}-instruct", "meta-llama/Llama-3.1-{}-Instruct", "8B 70B"),
    ("llama-3.2-{}", "meta-llama/Llama-3.2-{}", "1B 3B"),
    ("llama-3.2-{}-instruct", "meta-llama/Llama-3.2-{}-Instruct", "1B 3B"),
    ("qwen2-{}", "Qwen/Qwen2-{}", "0.5B 1.5B 7B 72B"),
    ("qwen2-{}-instruct", "Qwen/Qwen2-{}-Instruct", "0.5B 1.5B 7B 72B"),
    ("qwen2.5-{}", "Qwen/Qwen2.5-{}", "0.5B 1.5B 3B 7B 14B 32B 72B"),
    ("qwen2.5-{}-instruct", "Qwen/Qwen2.5-{}-Instruct", "0.5B 1.5B 3B 7B 14B 32B 72B"),
    ("qwen3-{}", "Qwen/Qwen3-{}", "0.6B 1.7B 4B 8B 14B 32B"),
    ("qwen3-{}-base", "Qwen/Qwen3-{}-Base", "0.6B 1.7B 4B 8B 14B"),
    ("gemma-{}", "google/gemma-{}", "2b 2b-it 7b 7b-it"),
    ("gemma-2-{}", "google/gemma-2-{}", "2b 2b-it 9b 9b-it 27b 27b-it"),
    ("smollm2-{}", "HuggingFaceTB/SmolLM2-{}", "135M 360M 1.7B"),
    ("smollm2-{}-instruct", "HuggingFaceTB/SmolLM2-{}-Instruct", "135M 360M 1.7B"),
    ("tiny-stories-{}", "roneneldan/TinyStories-{}", "1M 3M 8M 28M 33M"),
    ("tiny-stories-instruct-{}", "roneneldan/TinyStories-Instruct-{}", "1M 3M 8M 28M 33M"),
)
"""Short names that differ in a size only: the name, the repository, and the sizes."""


def _all_aliases() -> Iterator[tuple[str, str]]:
    yield from SINGLE.items()
    for short, repository, sizes in SIZED:
        for size in sizes.split():
            yield short.format(size.lower()), repository.format(size)


ALIASES: Mapping[str, str] = MappingProxyType(dict(_all_aliases()))
"""Every short name, in lower case, and the repository of the hub that it stands for."""

SAME_MODEL: tuple[tuple[str, ...], ...] = (
    ("openai-community/gpt2", "gpt2"),
    ("openai-community/gpt2-medium", "gpt2-medium"),
    ("openai-community/gpt2-large", "gpt2-large"),
    ("openai-community/gpt2-xl", "gpt2-xl"),
    ("distilbert/distilgpt2", "distilgpt2"),
    ("EleutherAI/gpt-neo-125m", "EleutherAI/gpt-neo-125M"),
    ("EleutherAI/gpt-j-6b", "EleutherAI/gpt-j-6B"),
    ("meta-llama/Llama-3.1-8B", "meta-llama/Meta-Llama-3.1-8B"),
    ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
    ("meta-llama/Llama-3.1-70B", "meta-llama/Meta-Llama-3.1-70B"),
    ("meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Meta-Llama-3.1-70B-Instruct"),
)
"""Repositories that were renamed. The hub forwards the old name, but a cache keeps a model under the name asked for."""

PYTHIA_STEPS: tuple[int, ...] = (0, *(2**power for power in range(10)), *range(1000, 143_001, 1000))
"""Training steps of which every Pythia model was published, as revisions `step0` … `step143000`: the beginning, powers
of two up to 512, and every thousandth (Biderman et al., 2023)."""

PYTHIA = re.compile(r"EleutherAI/pythia-[\d.]+[mb](-deduped)?(-seed\d)?", re.IGNORECASE)


def resolve_name(name: str) -> str:
    """Return the repository of the hub that a name means: what a short name stands for, or `owner/name` as it is.

    Raises:
        UnknownNameError: it is neither; the nearest short names are offered.
        ArgumentError: it is empty.

    >>> resolve_name("GPT2-small"), resolve_name("someone/some-model")
    ('openai-community/gpt2', 'someone/some-model')

    """
    if not name.strip():
        raise ArgumentError("the name of a model is empty; give a short name such as 'gpt2-small', or 'owner/name'.")
    if name.lower() in ALIASES:
        return ALIASES[name.lower()]
    if "/" in name:
        return name
    hint = "Other models of the Hugging Face hub are named 'owner/name'; a folder is named by its path."
    raise unknown_name("model", name, ALIASES, hint)


def other_names(hub_name: str) -> tuple[str, ...]:
    """Return the names under which the same repository was known before, or is now.

    >>> other_names("openai-community/gpt2")
    ('gpt2',)
    """
    for names in SAME_MODEL:
        if hub_name in names:
            return tuple(name for name in names if name != hub_name)
    return ()


def checkpoint_revision(hub_name: str, index: int | None = None, value: int | None = None) -> str:
    """Return the revision of a repository that holds the weights after some training step.

    Args:
        hub_name: the repository, `EleutherAI/pythia-…`.
        index: the place of the step in `PYTHIA_STEPS`; negative counts from the end.
        value: the step itself.

    Raises:
        ArgumentError: the model is no Pythia, both or neither of index and value are given, or there is no such step.

    >>> checkpoint_revision("EleutherAI/pythia-70m", value=1000), checkpoint_revision("EleutherAI/pythia-70m", index=-1)
    ('step1000', 'step143000')

    """
    if not PYTHIA.fullmatch(hub_name):
        raise ArgumentError(
            "checkpoint_index and checkpoint_value choose a training step, and of the models on the hub only the "
            f"Pythia suite (EleutherAI/pythia-…) has published steps that are known here; {hub_name!r} came. "
            "The stanford-crfm models are not supported. For other repositories give the revision."
        )
    if (index is None) == (value is None):
        came = "neither" if index is None else "both"
        raise ArgumentError(f"give checkpoint_value (a step) or checkpoint_index (a place); {came} came.")
    if index is not None:
        count = len(PYTHIA_STEPS)
        return f"step{PYTHIA_STEPS[check_int('checkpoint_index', index, least=-count, most=count - 1)]}"
    step = check_int("checkpoint_value", value, least=0)
    if step not in PYTHIA_STEPS:
        near = sorted(PYTHIA_STEPS, key=lambda known: abs(known - step))[:2]
        raise ArgumentError(
            f"checkpoint_value must be a step that was published: 0, 1, 2, 4, … 512, or a multiple of 1000 up to "
            f"143000; {step} came. The nearest are {near[0]} and {near[1]}."
        )
    return f"step{step}"

"""How a GGUF file says that rotary positions are scaled: in words, or as one factor for each frequency."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

LOW = 1.0  # only ratios of the three other values show in the factors; every published model has low_freq_factor = 1
ROUNDING = 1e-5  # the factors are float32 (6e-8), computed from frequencies that are float32 as well
STEP = 1 / 16  # high_freq_factor is a round number (4 in every published model)


def llama3_scaling(factors: Float[Tensor, " pair"], base: float) -> dict[str, Any] | None:
    """Find the values of Llama 3's rule that give these factors.

    The rule (Meta 2024) divides the frequency `base^(-2i / d)` of pair i by a factor that depends on how many turns the
    pair makes within the first context, `turns = n_ctx base^(-2i / d) / 2π`: by 1 above `high_freq_factor`, by `factor`
    below `low_freq_factor`, and between the two `1 / factor_i` goes from 1 to `1 / factor` linearly with the turns. So
    the factors between the two lie on a line, whose slope and intercept give `high_freq_factor` and `n_ctx`.

    Args:
        factors: by which frequencies are divided, the fastest pair first.
        base: of the wavelengths.

    Returns:
        `rope_scaling` as configurations write it, an empty one if nothing is scaled; None if the factors follow another
        rule, or do not say which values they come from.

    >>> pairs = torch.arange(32) / 32
    >>> wanted = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    >>> wanted["original_max_position_embeddings"] = 8192
    >>> found = llama3_scaling(llama3_factors(wanted, 500000.0 ** -pairs), 500000.0)
    >>> found == {"rope_type": "llama3", **wanted}
    True

    """
    given = factors.double()
    frequencies = base ** (-torch.arange(len(given), dtype=torch.float64) / len(given))
    if not bool(torch.isfinite(given).all()) or bool((given < 1 - ROUNDING).any()):
        return None
    factor = float(given[-1])
    if bool((given - 1).abs().max() < ROUNDING):
        return {}
    between = (given > 1 + ROUNDING) & (given < factor * (1 - ROUNDING))
    if int(between.sum()) < 2:
        return None
    share = (1 / given[between] - 1 / factor) / (1 - 1 / factor)  # (turns - low) / (high - low)
    turns = frequencies[between] / (2 * math.pi)  # for a context of 1
    slope = float((share[0] - share[-1]) / (turns[0] - turns[-1]))
    intercept = float(share[0] - slope * turns[0])
    if intercept >= 0:
        return None
    high = LOW - LOW / intercept
    found = {
        "factor": float(f"{factor:.6g}"),
        "low_freq_factor": LOW,
        "high_freq_factor": round(high / STEP) * STEP,
        "original_max_position_embeddings": round(slope * (high - LOW)),
    }
    if found["high_freq_factor"] <= LOW or not torch.allclose(llama3_factors(found, frequencies), given, rtol=ROUNDING):
        return None
    return {"rope_type": "llama3", **found}


def llama3_factors(values: Mapping[str, Any], frequencies: Float[Tensor, " pair"]) -> Float[Tensor, " pair"]:
    """Return by what Llama 3's rule divides frequencies; see `llama3_scaling`."""
    low, high = values["low_freq_factor"], values["high_freq_factor"]
    turns = values["original_max_position_embeddings"] * frequencies.double() / (2 * math.pi)
    share = ((turns - low) / (high - low)).clamp(0, 1)
    return 1 / (share + (1 - share) / values["factor"])

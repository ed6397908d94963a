"""From logits to the next token: which one is drawn, and from what distribution."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refractor.base.checks import check_float, check_fraction, check_int, check_member
from refractor.base.errors import ArgumentError

UNDEFINED = -1
"""Stands for the token of a row whose logits are NaN or infinite: no token at all."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen from logits `l`, in this order.

    1. `repetition_penalty` r: tokens seen before get `l / r` where l is positive and `l r` where it is not (Keskar et
       al. 2019). 2. `freq_penalty` f: `l - f * (times seen)`. 3. Without `do_sample`, or at `temperature` 0, the
       largest. Otherwise 4. `l / temperature`; 5. `top_k`: only the k largest, and what ties with the last of them (Fan
       et al. 2018); 6. `top_p`: of these only the smallest set of most probable tokens with a mass of at least p
       (Holtzman et al. 2020); 7. a draw from the softmax of what is left.

    Args:
        do_sample: draw; False takes the largest.
        temperature: 0 is the same as `do_sample=False`.
        top_k: how many tokens may be drawn; all when left out.
        top_p: mass of the tokens that may be drawn; all when left out. At least one token is left.
        freq_penalty: 0 for none.
        repetition_penalty: 1 for none; above 1 repetition becomes rarer.

    Raises:
        ArgumentError: a value is out of range.

    >>> Sampling(temperature=0).is_greedy, Sampling(top_k=5, temperature=0.7).is_greedy
    (True, False)

    """

    do_sample: bool = True
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    freq_penalty: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        """Check every value."""
        check_member("do_sample", self.do_sample, (True, False))
        check_float("temperature", self.temperature, least=0)
        if self.top_k is not None:
            check_int("top_k", self.top_k, least=1)
        if self.top_p is not None:
            check_fraction("top_p", self.top_p)
        check_float("freq_penalty", self.freq_penalty)
        check_float("repetition_penalty", self.repetition_penalty, above=0)

    @property
    def is_greedy(self) -> bool:
        """Whether the largest is taken and nothing is drawn."""
        return not self.do_sample or self.temperature == 0

    @property
    def penalises(self) -> bool:
        """Whether it matters which tokens were seen."""
        return self.freq_penalty != 0 or self.repetition_penalty != 1


def next_tokens(
    logits: Float[Tensor, "batch d_vocab"],
    sampling: Sampling,
    seen: Int[Tensor, "batch pos"] | None = None,
    real: Bool[Tensor, "batch pos"] | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """Return one token for every row.

    Draws are made in float64 whatever the dtype of the logits (float32 on mps, which has no other): in half precision
    the mass of a long tail of tokens would be rounded away.

    Args:
        logits: of the next token.
        sampling: how it is chosen.
        seen: the tokens before it, all below d_vocab; needed for penalties only.
        real: which of them count; all when left out.
        generator: where random numbers come from, torch's global one when left out. It may lie on another device than
            the logits: one on the CPU draws the same numbers for a network on a GPU.

    Raises:
        ArgumentError: the logits of a row are NaN or infinite, or a penalty is asked for without `seen`.

    >>> next_tokens(torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]]), Sampling(do_sample=False))
    tensor([1, 0])
    >>> next_tokens(torch.tensor([[0.0, 3.0, 1.0]]), Sampling(do_sample=False, freq_penalty=2.5), torch.tensor([[1]]))
    tensor([2])

    """
    tokens = draw_tokens(logits, sampling, seen, real, generator)
    check_drawn(tokens.tolist(), "")
    return tokens


def draw_tokens(
    logits: Float[Tensor, "batch d_vocab"],
    sampling: Sampling,
    seen: Int[Tensor, "batch pos"] | None = None,
    real: Bool[Tensor, "batch pos"] | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """Return what `next_tokens` returns, but `UNDEFINED` where a row has none; nothing waits for the device."""
    largest = logits.amax(-1)  # NaN if any is; minus infinity if all are
    if sampling.penalises:
        logits = penalised(_wide(logits), sampling, seen, real)
    tokens = logits.argmax(-1) if sampling.is_greedy else _drawn(_wide(logits), sampling, generator)
    return torch.where(largest.isfinite(), tokens, UNDEFINED)


def check_drawn(tokens: list[int], where: str) -> None:
    """Raise if a row has no token.

    Args:
        tokens: one for every row.
        where: what the message adds about the place.

    Raises:
        ArgumentError: the logits of a row were NaN or infinite.

    """
    if UNDEFINED in tokens:
        raise ArgumentError(
            f"no next token can be chosen: the logits of row {tokens.index(UNDEFINED)}{where} are NaN or infinite. "
            "float16 overflows easily: try bfloat16 or float32. If it is not that, look for NaN in the weights and in "
            "what hooks return."
        )


def penalised(
    logits: Float[Tensor, "batch d_vocab"],
    sampling: Sampling,
    seen: Int[Tensor, "batch pos"] | None,
    real: Bool[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits after both penalties.

    Args:
        logits: of the next token.
        sampling: has the penalties.
        seen: the tokens before it.
        real: which of them count.

    Raises:
        ArgumentError: `seen` is missing.

    """
    if seen is None:
        raise ArgumentError(
            "freq_penalty and repetition_penalty need the tokens before: pass them as seen=[batch, pos]."
        )
    counted = torch.ones(seen.shape, dtype=logits.dtype, device=logits.device) if real is None else real.to(logits)
    times = torch.zeros_like(logits).scatter_add_(1, seen, counted)
    penalty = sampling.repetition_penalty
    if penalty != 1:
        rarer = torch.where(logits > 0, logits / penalty, logits * penalty)
        logits = torch.where(times > 0, rarer, logits)
    return logits - sampling.freq_penalty * times if sampling.freq_penalty else logits


def truncated(
    logits: Float[Tensor, "batch d_vocab"], top_k: int | None, top_p: float | None
) -> Float[Tensor, "batch d_vocab"]:
    """Return the logits with -inf for every token that may not be drawn.

    Args:
        logits: after temperature.
        top_k: see `Sampling`.
        top_p: see `Sampling`; the mass is that of the tokens which `top_k` leaves.

    >>> truncated(torch.tensor([[1.0, 4.0, 3.0, 2.0]]), top_k=2, top_p=None)
    tensor([[-inf, 4., 3., -inf]])

    """
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(descending=True, stable=True)
        mass = ordered.softmax(-1).cumsum(-1)
        mass_before = torch.nn.functional.pad(mass[:, :-1], (1, 0))  # 0 for the first, which is always kept
        beyond = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, order, mass_before >= top_p)
        logits = logits.masked_fill(beyond, -torch.inf)
    return logits


def _drawn(logits: Tensor, sampling: Sampling, generator: torch.Generator | None) -> Tensor:
    """Draw from the softmax: the largest of `l - log E`, E exponential for each token (Gumbel 1954).

    Unlike `torch.multinomial` this neither waits for the device nor brings it down when a row is NaN.
    """
    below = logits - logits.amax(-1, keepdim=True)  # at most 0, so that no temperature can make it overflow
    kept = truncated(below / sampling.temperature, sampling.top_k, sampling.top_p)
    device = kept.device if generator is None else generator.device
    waiting = torch.empty(kept.shape, dtype=kept.dtype, device=device).exponential_(generator=generator)
    waiting = waiting.clamp_(min=torch.finfo(kept.dtype).tiny)  # log 0 would make NaN of what may not be drawn
    return (kept - waiting.to(kept.device).log()).argmax(-1)


def _wide(logits: Tensor) -> Tensor:
    return logits.to(torch.float32 if logits.device.type == "mps" else torch.float64)

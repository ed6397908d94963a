"""Loss and accuracy of rows of logits: of parts that are kept alone, and of what is left when parts are removed.

The parts depend on the right answer alone. Logits come in blocks of classes, `values[s, a, c]`: class s is a right
answer, a its members.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TIE = 1e-13  # logits closer than this, relative to the largest, differ by rounding: about 450 times 2**-52
SAFE_RANGE = 600.0  # exp(-600) is a normal double with room for 1e40 more: see `removed_part`
POWER = 4  # of the odds, the square of their square, whose sum shows which is the largest: see `_settled`
SLACK = 1e-9  # what rounding may do to a comparison of odds

Result = tuple[Float[Tensor, "sets s a"], Float[Tensor, "sets s a"]]
"""Losses in nats; and 1 where the right answer has the highest logit, 1/m where m share it, else 0."""


def kept_part(
    logits: Float[Tensor, "sets s c"], right: Int[Tensor, " s"], largest: float
) -> tuple[Float[Tensor, "sets s"], Float[Tensor, "sets s"]]:
    """Score logits that depend on the right answer alone.

    Args:
        logits: one row for each set and class.
        right: the right answer of each class.
        largest: the largest absolute logit; logits closer than `TIE` times this count as equal.

    Returns:
        Losses and credit, over (set, class).

    """
    own = logits[:, torch.arange(len(right)), right]
    level = logits.amax(-1) - TIE * largest
    credit = (own >= level).double() / (logits >= level[..., None]).sum(-1)
    return logits.logsumexp(-1) - own, credit


def removed_part(
    values: Float[Tensor, "s a c"], right: Int[Tensor, " s"], taken: Float[Tensor, "sets s c"], largest: float
) -> Result:
    """Score `L - T` for every set, class and member.

    `Σ_c exp(L - T) = Σ_c exp(L[s, a, c]) exp(-T[set, s, c])` is a matrix product for each class, so the exponentials of
    the logits are taken once, not once for each set. Both factors are scaled to a maximum of 1. The sum is then at
    least `exp(-range of T)`, and what underflows is smaller than exp(-745): with a range below 600 that is less
    than 1e-60 of the sum. Wider ranges are computed directly.

    Args:
        values: logits L.
        right: the right answer of each class.
        taken: what is removed, T.
        largest: the largest absolute logit; logits closer than `TIE` times this count as equal.

    """
    classes, tie = torch.arange(len(right)), TIE * largest
    own = values[classes, :, right][None] - taken[:, classes, right][..., None]
    spread = float((taken.amax(-1) - taken.amin(-1)).max()) if taken.numel() else 0.0
    if spread >= SAFE_RANGE:
        losses = torch.stack([(values - part[:, None]).logsumexp(-1) for part in taken]) - own
        return losses, _credit(values, right, taken, torch.ones_like(losses, dtype=torch.bool), tie)
    top, low = values.amax(-1), taken.amin(-1)
    odds, weights = (values - top[..., None]).exp_(), (low[..., None] - taken).exp_()
    total = _contract(odds, weights)
    losses = total.log() + top - low[..., None] - own
    if POWER * spread >= SAFE_RANGE or tie > SLACK:  # a lead may be rounding: look at every row
        return losses, _credit(values, right, taken, torch.ones_like(losses, dtype=torch.bool), tie)
    powers = _contract(odds.square_().square_(), weights.square_().square_()) / total.square().square()
    credit, undecided = _settled((-losses).exp(), powers)
    return losses, credit + _credit(values, right, taken, undecided, tie)


def _contract(odds: Float[Tensor, "s a c"], weights: Float[Tensor, "sets s c"]) -> Float[Tensor, "sets s a"]:
    return torch.bmm(odds, weights.permute(1, 2, 0)).permute(2, 0, 1)


def _settled(
    own: Float[Tensor, "sets s a"], powers: Float[Tensor, "sets s a"]
) -> tuple[Float[Tensor, "sets s a"], Bool[Tensor, "sets s a"]]:
    """Decide from `Σ_c p⁴` whether the right answer, with odds p, leads; most rows need no more.

    If another answer had odds of p or more, the sum would be 2 p⁴ or more: below that the right answer leads. And since
    `Σ p⁴ ≤ max p³`, the largest odds are at least the cube root of the sum: if p is below that, another leads.

    Returns:
        Credit of the rows that are settled, and which are not.

    """
    cube = own * own * own
    leads = 2 * cube * own > powers * (1 + SLACK)
    trails = cube < powers * (1 - SLACK)
    return leads.double(), ~(leads | trails)


def _credit(
    values: Float[Tensor, "s a c"],
    right: Int[Tensor, " s"],
    taken: Float[Tensor, "sets s c"],
    asked: Bool[Tensor, "sets s a"],
    tie: float,
) -> Float[Tensor, "sets s a"]:
    """Look at the rows that are asked for; the others get 0."""
    credit = torch.zeros_like(asked, dtype=torch.float64)
    for place, part in enumerate(taken):
        classes, members = asked[place].nonzero(as_tuple=True)
        if len(classes) == 0:
            continue
        rest = values[classes, members] - part[classes]
        level = rest.amax(-1) - tie
        own = rest.gather(1, right[classes][:, None])[:, 0]
        hit = own >= level
        found = torch.zeros_like(level)
        found[hit] = 1 / (rest[hit] >= level[hit][:, None]).sum(-1).double()
        credit[place, classes, members] = found
    return credit

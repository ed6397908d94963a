"""Loss and accuracy of logits less a part that depends on the right answer alone.

Logits come in blocks of classes, `values[s, a, c]`: class s is a right answer, a its members. From them a part
`taken[set, s, c]` is removed, for many sets at once.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

TIE = 1e-13  # logits closer than this, relative to the largest, differ by rounding: about 450 times 2**-52
SAFE_RANGE = 600.0  # exp(-600) is a normal double with room for 1e40 more: see `removed_losses`
SURE = 0.51  # with this share of the odds an answer is ahead of every other by 0.04
SLACK = 1e-9  # what rounding may add to a loss


def removed_losses(
    values: Float[Tensor, "s a c"], right: Int[Tensor, " s"], taken: Float[Tensor, "sets s c"]
) -> Float[Tensor, "sets s a"]:
    """Return `logsumexp_c(L - T) - (L - T)[right]` for every set, class and member.

    `Σ_c exp(L - T) = Σ_c exp(L[s, a, c]) exp(-T[set, s, c])` is a matrix product for each class, so the exponentials of
    the logits are taken once, not once for each set. Both factors are scaled to a maximum of 1. The sum is then at
    least `exp(-range of T)`, and what underflows is smaller than exp(-745): with a range below 600 that is less
    than 1e-60 of the sum. Wider ranges are computed directly.

    Args:
        values: logits L.
        right: the right answer of each class.
        taken: what is removed, T.

    """
    classes = torch.arange(len(right))
    rest = values[classes, :, right][None] - taken[:, classes, right][..., None]
    if float((taken.amax(-1) - taken.amin(-1)).max()) >= SAFE_RANGE:
        return torch.stack([(values - part[:, None]).logsumexp(-1) for part in taken]) - rest
    top, low = values.amax(-1), taken.amin(-1)
    weights = (low[..., None] - taken).exp().permute(1, 2, 0)  # [s, c, set]
    total = torch.bmm((values - top[..., None]).exp(), weights).permute(2, 0, 1)
    return total.log() + top - low[..., None] - rest


def removed_credit(
    values: Float[Tensor, "s a c"],
    right: Int[Tensor, " s"],
    taken: Float[Tensor, "sets s c"],
    losses: Float[Tensor, "sets s a"],
    largest: float,
) -> Float[Tensor, "sets s a"]:
    """Return 1 where the right answer has the highest logit, 1/m where m share it, else 0.

    The loss decides most rows: odds above one half mean that the right answer leads, odds below 1/n that it does not.
    Only the rows between are looked at again.

    Args:
        values: logits L.
        right: the right answer of each class.
        taken: what is removed, T.
        losses: what `removed_losses` gives for these.
        largest: the largest absolute logit of all classes; logits closer than `TIE` times this count as equal.

    """
    tie, odds = TIE * largest, (-losses).exp()
    chance = 1.0 / values.shape[-1]
    credit = (odds > SURE).double()
    open_rows = (odds <= SURE) & (odds >= chance * (1 - SLACK - 2 * tie))
    if tie > SLACK:  # logits so large that a lead may be rounding: look at every row
        open_rows = torch.ones_like(open_rows)
    for place, part in enumerate(taken):
        classes, members = open_rows[place].nonzero(as_tuple=True)
        if len(classes):
            credit[place, classes, members] = _credit(values, right, part, classes, members, tie)
    return credit


def _credit(
    values: Float[Tensor, "s a c"],
    right: Int[Tensor, " s"],
    part: Float[Tensor, "s c"],
    classes: Int[Tensor, " rows"],
    members: Int[Tensor, " rows"],
    tie: float,
) -> Float[Tensor, " rows"]:
    rest = values[classes, members] - part[classes]
    level = rest.amax(-1) - tie
    hit = rest.gather(1, right[classes][:, None])[:, 0] >= level
    credit = torch.zeros_like(level)
    credit[hit] = 1 / (rest[hit] >= level[hit][:, None]).sum(-1).double()
    return credit

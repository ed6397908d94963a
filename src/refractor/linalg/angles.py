"""Principal angles between what two factored matrices write to (column spaces) or read from (row spaces)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.checks import check_member
from refractor.base.errors import ShapeError
from refractor.linalg.chain import Chain, adjoint, as_chain, check_alike, lifted, transposed
from refractor.linalg.contract import wide_dtype
from refractor.linalg.evaluate import contracted
from refractor.linalg.leading import broadcast_sizes
from refractor.linalg.norms import numerical_rank
from refractor.linalg.svd import decompose, real_dtype


def principal_angles(
    matrix: Chain, other: Chain, space: Literal["column", "row"] = "column", tol: float | None = None
) -> Float[Tensor, "*leading rank"]:
    """Principal angles in radians, rising, between the column (or row) spaces of two stacks of matrices.

    `cos t_i` are the singular values of `Q_Mᴴ Q_N` for orthonormal bases of the two spaces, and `sin t_i` those of
    `Q_N - Q_M Q_Mᴴ Q_N`; small angles are read from the sine, so that equal spaces give 0 to rounding (Björck and Golub
    1973). `sum cos² t_i` is the projection kernel, by chance `a b / d` for spaces of a and b of d dimensions.

    Args:
        matrix: one stack.
        other: another, with as many rows (columns). Leading axes broadcast.
        space: `column` (what is written) or `row` (what is read).
        tol: singular values at most `tol` times the largest do not count to a space, see `rank`.

    Returns:
        `[*leading, rank]` in the dtype of contractions, 0 … pi/2, as many as the smaller of the two numbers of singular
        values; NaN beyond the smaller of the two ranks. Not differentiable.

    Raises:
        ShapeError: the spaces do not lie in one space, dtypes differ or leading axes do not fit.

    >>> from refractor.linalg import FactoredMatrix, principal_angles
    >>> one = FactoredMatrix(torch.tensor([[1.0], [0.0]]), torch.ones(1, 2))
    >>> other = FactoredMatrix(torch.tensor([[1.0], [1.0]]), torch.ones(1, 3))
    >>> principal_angles(one, other).rad2deg()
    tensor([45.])

    """
    matrix, other = as_chain(matrix, "principal_angles"), as_chain(other, "principal_angles")
    check_member("space", space, ("column", "row"))
    check_one_space(matrix, other, space)
    if space == "row":
        return principal_angles(transposed(matrix), transposed(other), "column", tol)
    described = f"{list(matrix.shape)} and {list(other.shape)}"
    check_alike(matrix.factors[0].tensor, other.factors[0].tensor, described)
    leading = broadcast_sizes([matrix.leading, other.leading], described)
    with torch.no_grad():
        first, second = _basis(matrix, leading), _basis(other, leading)
        overlap = contracted(Chain.of((*adjoint(first).factors, *second.factors), leading), "principal_angles")
        ranks = [numerical_rank(each, tol).expand(leading) for each in (matrix, other)]
        kept = [_kept(rank, basis.rdim) for rank, basis in zip(ranks, (first, second), strict=True)]
        wide = overlap.expanded().to(wide_dtype(overlap.tensor)) * kept[0][..., :, None] * kept[1][..., None, :]
        cosines = torch.linalg.svdvals(wide.cpu()).clamp_max(1)
        sines = _sines(first, second, overlap.expanded(), kept)
        count = torch.minimum(ranks[0], ranks[1]).cpu()
        place = torch.arange(cosines.shape[-1])
        # the sines of all directions of `other`, rising: the first ones belong to the largest cosines
        angles = torch.where(cosines**2 > 0.5, torch.asin(sines[..., : len(place)]), torch.acos(cosines))
        angles = torch.where(place < count[..., None], angles, torch.nan)
        return angles.to(matrix.device, real_dtype(matrix))


def check_one_space(matrix: Chain, other: Chain, space: str) -> None:
    """Raise unless the column (row) spaces of two matrices lie in one space.

    Raises:
        ShapeError: they have different numbers of rows (columns).

    """
    one, two = (matrix.ldim, other.ldim) if space == "column" else (matrix.rdim, other.rdim)
    if one != two:
        counted = "rows" if space == "column" else "columns"
        raise ShapeError(
            f"{space} spaces of {list(matrix.shape)} and {list(other.shape)} do not lie in one space: {one} and {two} "
            f"{counted}."
        )


def _basis(matrix: Chain, leading: tuple[int, ...]) -> Chain:
    U = decompose(matrix).U
    return Chain.of(lifted(U, leading), leading)


def _kept(rank: Tensor, width: int) -> Tensor:
    return torch.arange(width, device=rank.device) < rank[..., None]


def _sines(first: Chain, second: Chain, overlap: Tensor, kept: list[Tensor]) -> Tensor:
    """Return the singular values of what is left of the second basis outside the first, rising, 0 … 1."""
    Q = contracted(first, "principal_angles")
    inside = Q.expanded() @ (overlap * kept[0][..., :, None].to(overlap.dtype))
    left = (contracted(second, "principal_angles").expanded() - inside) * kept[1][..., None, :]
    values = torch.linalg.svdvals(left.to(wide_dtype(left)).cpu()).clamp(0, 1)
    missing = kept[1].shape[-1] - values.shape[-1]
    values = torch.nn.functional.pad(values, (0, max(0, missing)))
    # directions that do not count have length 0 and would come first: they are moved to the end
    unused = (~kept[1]).sum(-1, keepdim=True).cpu()
    rising = values.flip(-1)
    place = (torch.arange(rising.shape[-1]) + unused).clamp_max(rising.shape[-1] - 1)
    return rising.gather(-1, place)

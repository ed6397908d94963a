"""What every question must answer: the same as the formed product in float64. A law raises AssertionError where it does not."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from refractor.linalg import FactoredMatrix, pairwise_norms, principal_angles

LAW = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2e-5, torch.float16: 2e-5}
"""Relative to the largest: half precisions are contracted in float32 from the same factors, so float32's bound holds."""


def close(ours: Tensor, truth: Tensor, M: FactoredMatrix, scale: Tensor | float | None = None) -> None:
    """Hold `ours` against `truth`, relative to the largest entry of the truth (or to `scale`)."""
    assert ours.shape == truth.shape, (ours.shape, truth.shape)
    wanted = torch.empty((), dtype=M.compute_dtype).real.dtype
    assert ours.real.dtype == (wanted if wanted != torch.float16 else torch.float32), ours.dtype
    size = truth.abs().max().item() if truth.numel() else 1.0
    size = max(size, float(torch.as_tensor(scale).max()) if scale is not None else 0.0, 1e-300)
    error = (ours.to(truth.dtype) - truth).abs().max().item() if truth.numel() else 0.0
    assert error <= tolerance(M) * size, (error, size)


def tolerance(M: FactoredMatrix) -> float:
    return LAW[torch.empty((), dtype=M.compute_dtype).real.dtype]


def formed(product: object) -> Tensor:
    """Return the product of what must still be factored."""
    assert isinstance(product, FactoredMatrix)
    return product.dense()


def vector(product: object) -> Tensor:
    """Return what must be a tensor."""
    assert isinstance(product, Tensor)
    return product


def size(D: Tensor) -> float:
    return D.abs().max().item() if D.numel() else 1.0


def dense(M: FactoredMatrix, D: Tensor) -> None:
    product = M.dense()
    assert product.dtype == M.dtype
    assert product.shape == D.shape == M.shape
    coarse = {torch.bfloat16: 1e-2, torch.float16: 2e-3}.get(M.dtype, tolerance(M))
    assert (product.to(D.dtype) - D).abs().max().item() <= coarse * size(D) if D.numel() else True
    assert torch.equal(M.AB, product)


def sides(M: FactoredMatrix, D: Tensor) -> None:
    A, B = M.pair
    assert A.shape == (*M.leading, M.ldim, M.mdim)
    assert B.shape == (*M.leading, M.mdim, M.rdim)
    coarse = {torch.bfloat16: 3e-2, torch.float16: 4e-3}.get(M.dtype, tolerance(M))
    if D.numel():
        scale = (A.abs().to(D.real.dtype) @ B.abs().to(D.real.dtype)).max().item()
        assert (A.to(D.dtype) @ B.to(D.dtype) - D).abs().max().item() <= coarse * max(scale, 1e-300)


def reversed_product(M: FactoredMatrix, D: Tensor) -> None:
    A, B = M.pair
    BA = M.BA
    assert BA.shape == (*M.leading, M.mdim, M.mdim)
    if D.numel():
        coarse = {torch.bfloat16: 3e-2, torch.float16: 4e-3}.get(M.dtype, tolerance(M))
        truth = B.to(D.dtype) @ A.to(D.dtype)
        assert (BA.to(D.dtype) - truth).abs().max().item() <= coarse * max(size(truth), 1e-300)
        trace = D.diagonal(dim1=-2, dim2=-1).sum(-1)
        assert (BA.diagonal(dim1=-2, dim2=-1).sum(-1).to(D.dtype) - trace).abs().max() <= coarse * 9 * M.ldim * max(
            size(D), size(truth)
        )


def rank_count(M: FactoredMatrix) -> int:
    return min(M.widths)


def singular_values(M: FactoredMatrix, D: Tensor) -> None:
    close(M.S, torch.linalg.svdvals(D)[..., : rank_count(M)], M)


def decomposition(M: FactoredMatrix, D: Tensor) -> None:
    U, S, Vh = M.svd()
    count = rank_count(M)
    assert U.shape == (*M.leading, M.ldim, count)
    assert Vh.shape == (*M.leading, M.rdim, count)
    close(U @ S.to(U.dtype).diag_embed() @ Vh.mT, D, M)
    eye = torch.eye(count, dtype=torch.float64).expand(*M.leading, count, count).to(D.dtype)
    close(U.mH @ U, eye, M)
    close(Vh.mH @ Vh, eye, M)
    assert torch.equal(M.U, U)
    assert torch.equal(M.V.conj(), M.Vh)
    weights = 0.5 + (torch.arange(1, M.ldim + 1).double() * 0.6180339887498949) % 1
    phase = (weights.to(U.dtype) @ U) if U.numel() else torch.ones(1, dtype=U.dtype)
    assert (phase.real > -1e-3).all()
    found = M.factored_svd()
    close(found.U.dense(), U.to(D.dtype), M)
    close(formed(found.U @ found.S.to(U.dtype).diag_embed() @ found.V.mH), D, M)


def left_collapsed(M: FactoredMatrix, D: Tensor) -> None:
    left = M.collapse_l()
    close(left.mH @ left, D.mH @ D, M)


def right_collapsed(M: FactoredMatrix, D: Tensor) -> None:
    right = M.collapse_r()
    close(right @ right.mH, D @ D.mH, M)


def eigenvalues(M: FactoredMatrix, D: Tensor) -> None:
    ours = M.eigenvalues
    assert ours.dtype == (torch.complex128 if M.compute_dtype in (torch.float64, torch.complex128) else torch.complex64)
    assert ours.shape == (*M.leading, rank_count(M))
    assert (ours.abs().diff(dim=-1) <= 1e-5 * ours.abs().amax(-1, keepdim=True)).all() if ours.numel() else True
    power = D  # the power sums determine the eigenvalues, and do not care for their order; zeros add nothing
    for exponent in range(1, 5):
        close(
            (ours**exponent).sum(-1),
            power.diagonal(dim1=-2, dim2=-1).sum(-1).to(torch.complex128),
            M,
            scale=norm_power(D, exponent),
        )
        power = power @ D


def norm_power(D: Tensor, exponent: int) -> float:
    return torch.linalg.matrix_norm(D, 2).max().item() ** exponent * min(D.shape[-2:]) if D.numel() else 1.0


def eigenvectors(M: FactoredMatrix, D: Tensor) -> None:
    values, right, left, condition = M.eig()
    assert (condition > 1 - 1e-4).all()
    sure = condition < 1e3
    wide = D.to(torch.complex128)
    for side in (
        (wide @ right.to(wide.dtype) - right.to(wide.dtype) * values.to(wide.dtype)[..., None, :]),
        (left.mH.to(wide.dtype) @ wide - values.to(wide.dtype)[..., :, None] * left.mH.to(wide.dtype)).mT,
    ):
        error = torch.linalg.vector_norm(side, dim=-2)
        assert error[sure].max() <= 30 * tolerance(M) * torch.linalg.matrix_norm(D, 2).max() if sure.any() else True
    close(values, M.eigenvalues.to(torch.complex128), M)


def trace(M: FactoredMatrix, D: Tensor) -> None:
    close(M.trace(), D.diagonal(dim1=-2, dim2=-1).sum(-1), M, scale=norm_power(D, 1))


def norms(M: FactoredMatrix, D: Tensor) -> None:
    close(M.norm(), torch.linalg.matrix_norm(D), M)
    close(M.norm("spectral"), torch.linalg.matrix_norm(D, 2), M)
    close(M.norm("nuclear"), torch.linalg.matrix_norm(D, "nuc"), M)


def ranks(M: FactoredMatrix, D: Tensor) -> None:
    S = torch.linalg.svdvals(D)
    top = S[..., :1]
    zero = top[..., 0] == 0
    power = (S / torch.where(top > 0, top, 1)) ** 2
    close(M.stable_rank(), power.sum(-1), M)
    close(
        M.participation_ratio(), torch.where(zero, 0, power.sum(-1) ** 2 / torch.where(zero, 1, (power**2).sum(-1))), M
    )
    share = S / torch.where(zero, 1, S.sum(-1))[..., None]
    entropy = -torch.where(share > 1e-13, share * share.clamp_min(1e-300).log(), 0).sum(-1)
    ours = M.effective_rank()
    assert ((ours - torch.where(zero, 0, entropy.exp())).abs() <= 3e-4 * max(M.shape[-2:])).all()
    tol = 1e-4
    assert torch.equal(M.rank(tol), ((tol * top < S) & (S > 0)).sum(-1))


def even(M: FactoredMatrix, D: Tensor) -> None:
    E = M.make_even()
    coarse = {torch.bfloat16: 3e-2, torch.float16: 4e-3}.get(M.dtype, 10 * tolerance(M))
    if not D.numel():
        return
    assert E.mdim == rank_count(M)
    assert (E.A.to(D.dtype) @ E.B.to(D.dtype) - D).abs().max() <= coarse * max(size(D), 1e-300)
    S = torch.linalg.svdvals(D)[..., : E.mdim].to(D.dtype).diag_embed()
    for gram in (E.A.to(D.dtype).mH @ E.A.to(D.dtype), E.B.to(D.dtype) @ E.B.to(D.dtype).mH):
        assert (gram - S).abs().max() <= 10 * coarse * max(S.abs().max().item(), 1e-300)


def truncations(M: FactoredMatrix, D: Tensor) -> None:
    if not D.numel():
        return
    S = torch.linalg.svdvals(D)[..., : rank_count(M)]
    coarse = {torch.bfloat16: 5e-2, torch.float16: 8e-3}.get(M.dtype, 10 * tolerance(M))
    for k in range(rank_count(M) + 1):
        low, error, spectral = M.truncate(k)
        assert low.mdim == k
        close(error, S[..., k:].square().sum(-1).sqrt(), M, scale=S.max())
        close(spectral, S[..., k] if k < S.shape[-1] else S.sum(-1) * 0, M, scale=S.max())
        if k:
            distance = torch.linalg.matrix_norm(low.A.to(D.dtype) @ low.B.to(D.dtype) - D)
            assert (distance - error.double()).abs().max() <= coarse * max(S.max().item() * rank_count(M), 1e-300)


def rounded(M: FactoredMatrix, D: Tensor) -> None:
    if not D.numel():
        return
    for tol in (0.5, 1e-3):
        low, error, _ = M.round(tol)
        total = torch.linalg.matrix_norm(D)
        assert (error.double() <= tol * total + 1e-5 * total + 1e-300).all()
        close(error, torch.linalg.svdvals(D)[..., low.mdim :].square().sum(-1).sqrt(), M, scale=total.max())
        if low.mdim:
            more = M.truncate(low.mdim - 1).error.double()
            assert (more > tol * total * (1 - 1e-5)).any()


def sums(M: FactoredMatrix, D: Tensor) -> None:
    coarse = {torch.bfloat16: 3e-2, torch.float16: 6e-3}.get(M.dtype, 10 * tolerance(M))

    def near(ours: FactoredMatrix, truth: Tensor) -> None:
        assert ours.shape == truth.shape
        if truth.numel():
            assert (ours.dense().to(truth.dtype) - truth).abs().max() <= coarse * max(size(D), 1e-300)

    near(M + M, 2 * D)
    near(M + M.make_even() if D.numel() else M + M, 2 * D)
    near(M - 0.5 * M, 0.5 * D)
    near(-M, -D)
    near(M / 4, D / 4)
    near(2 * M, 2 * D)


def diagonal(M: FactoredMatrix, D: Tensor) -> None:
    close(M.diagonal(), D.diagonal(dim1=-2, dim2=-1), M)


def entries(M: FactoredMatrix, D: Tensor) -> None:
    rows = torch.tensor([[0, -1], [M.ldim - 1, 0]])
    cols = torch.tensor([0, -1])
    close(M.entries(rows, cols), D[..., rows, cols.expand(2, 2)], M, scale=size(D))
    close(M.block(rows[0], cols), D[..., rows[0], :][..., cols], M, scale=size(D))


def corner(M: FactoredMatrix, D: Tensor) -> None:
    coarse = {torch.bfloat16: 1e-2, torch.float16: 2e-3}.get(M.dtype, tolerance(M))
    truth = D[tuple(slice(2) for _ in D.shape)]
    assert M.get_corner(2).shape == truth.shape
    assert (M.get_corner(2).to(D.dtype) - truth).abs().max() <= coarse * max(size(D), 1e-300) if truth.numel() else True


def lengths(M: FactoredMatrix, D: Tensor) -> None:
    close(M.row_norms(), torch.linalg.vector_norm(D, dim=-1), M)
    close(M.col_norms(), torch.linalg.vector_norm(D, dim=-2), M)


def statistics(M: FactoredMatrix, D: Tensor) -> None:
    if not D.numel():
        return
    for dim in (None, -1, -2):
        axes = (-2, -1) if dim is None else dim
        scale = size(D) * (D.shape[-1] * D.shape[-2])
        close(M.sum(dim), D.sum(axes), M, scale=scale)
        close(M.mean(dim), D.mean(axes), M, scale=size(D))
        count = D.shape[-1] * D.shape[-2] if dim is None else D.shape[dim]
        close(M.var(dim, correction=0), D.var(axes, correction=0), M, scale=size(D) ** 2)
        if count > 1:
            close(M.var(dim), D.var(axes), M, scale=size(D) ** 2)


def largest(M: FactoredMatrix, D: Tensor) -> None:
    if M.dtype.is_complex or not D.numel():
        return
    slack = tolerance(M) * max(size(D), 1e-300)
    for dim in (-1, -2):
        found = M.argmax(dim)
        assert (D.gather(dim, found.unsqueeze(dim)).squeeze(dim) >= D.amax(dim) - 2 * slack).all()
        close(M.max(dim), D.amax(dim), M)
        close(M.min(dim), D.amin(dim), M)
        for k in {1, min(3, D.shape[dim])}:
            top = M.topk(k, dim)
            assert top.values.shape == top.rows.shape == top.cols.shape == D.topk(k, dim).values.shape
            close(top.values, D.topk(k, dim).values, M)
            picked = (
                D.flatten(0, -3)[_lead(top.values), top.rows.flatten(), top.cols.flatten()]
                if D.ndim > 2
                else D[top.rows, top.cols].flatten()
            )
            assert (picked - top.values.flatten().double()).abs().max() <= 2 * slack
    flat = D.flatten(-2)
    close(M.max(), flat.amax(-1), M)
    assert (flat.gather(-1, M.argmax()[..., None])[..., 0] >= flat.amax(-1) - 2 * slack).all()
    k = min(4, flat.shape[-1])
    top = M.topk(k)
    close(top.values, flat.topk(k).values, M)
    assert (flat.gather(-1, top.rows * M.rdim + top.cols) - top.values.double()).abs().max() <= 2 * slack


def _lead(values: Tensor) -> Tensor:
    count = math.prod(values.shape[:-2])
    return torch.arange(count).repeat_interleave(math.prod(values.shape[-2:]))


def place(M: FactoredMatrix, D: Tensor) -> None:
    if M.dtype.is_complex or not D.numel():
        return
    rows, cols = torch.tensor([0, M.ldim - 1]), torch.tensor([M.rdim - 1, 0])
    ours = M.rank_of(rows, cols)
    slack = tolerance(M) * max(size(D), 1e-300)
    picked = D[..., rows, :]
    own = picked.gather(-1, cols[:, None].expand(*picked.shape[:-1], 1))
    assert ((picked > own + slack).sum(-1) <= ours).all()
    assert ((picked > own - slack).sum(-1) >= ours).all()


def share(M: FactoredMatrix, D: Tensor) -> None:
    if M.dtype.is_complex or not D.numel() or size(D) == 0:
        return
    gap = D.topk(min(2, D.shape[-1]), -1).values
    if D.shape[-1] > 1 and (gap[..., 0] - gap[..., 1]).min() < 10 * tolerance(M) * size(D):
        return  # a tie decides nothing
    close(M.diagonal_argmax_share(), (D.argmax(-1) == torch.arange(M.ldim)).double().mean(-1), M, scale=1)


def inner_products(M: FactoredMatrix, D: Tensor) -> None:
    N = M.T if M.ldim == M.rdim else 2 * M
    E = D.mT if M.ldim == M.rdim else 2 * D
    truth = (D.conj() * E).sum((-2, -1))
    lengths = torch.linalg.matrix_norm(D) * torch.linalg.matrix_norm(E)
    close(M.inner(N), truth, M, scale=lengths if D.numel() else None)
    if D.numel() and (lengths > 0).all():
        close(M.cosine_similarity(N), truth / lengths, M, scale=1)


def pairs(M: FactoredMatrix, D: Tensor) -> None:
    other = M.mH
    truth = torch.linalg.matrix_norm(D.reshape(*M.leading, *(1 for _ in M.leading), M.ldim, M.rdim) @ D.mH)
    close(pairwise_norms(M, other), truth, M)


def angles(M: FactoredMatrix, D: Tensor) -> None:
    if not D.numel():
        return
    backwards = list(range(M.ldim))[::-1]
    for other, E in ((M, D), (M[..., backwards, :], D[..., backwards, :])):
        ours = principal_angles(M, other, tol=1e-4)
        ours = ours.reshape(-1, ours.shape[-1]).to(torch.float64)
        for at, (one, two) in enumerate(zip(D.reshape(-1, *D.shape[-2:]), E.reshape(-1, *D.shape[-2:]), strict=True)):
            first, second = (_range(each) for each in (one, two))
            cosines = torch.linalg.svdvals(first.mH @ second)
            assert ours[at, len(cosines) :].isnan().all()
            kept = ours[at, : len(cosines)]
            assert len(kept) == len(cosines)
            assert (kept.diff() >= -1e-6).all()
            assert ((kept.cos() - cosines).abs() <= 30 * tolerance(M)).all()
            sure = cosines > 1 - 1e-12  # where the cosine says nothing about small angles
            assert (kept[sure] <= 1e-5).all()
    assert (principal_angles(M, M, tol=1e-4).nan_to_num(0.0) <= 30 * tolerance(M)).all()
    if M.ldim == M.rdim and not M.dtype.is_complex:
        assert torch.equal(principal_angles(M, M, "row").isnan(), principal_angles(M.T, M.T).isnan())


def _range(matrix: Tensor) -> Tensor:
    U, S, _ = torch.linalg.svd(matrix)
    return U[:, : len(S)][:, (1e-4 * S[0] < S) & (S > 0)]


def indexing(M: FactoredMatrix, D: Tensor) -> None:
    coarse = {torch.bfloat16: 1e-2, torch.float16: 2e-3}.get(M.dtype, tolerance(M))

    def near(index: object, truth: Tensor) -> None:
        ours = M[index]
        assert ours.shape == truth.shape, (index, ours.shape, truth.shape)
        if truth.numel():
            assert (ours.dense().to(truth.dtype) - truth).abs().max() <= coarse * max(size(D), 1e-300), index

    near(..., D)
    near((..., 0), D[..., 0:1])
    near((..., -1, slice(None)), D[..., -1:, :])
    near((..., slice(1, None), slice(None, None, 2)), D[..., 1:, ::2])
    near((..., [0, -1], slice(None)), D[..., [0, -1], :])
    near((..., [0], [-1, 0]), D[..., [0], :][..., [-1, 0]])
    near(None, D[None])
    near((None, ..., 0, 0), D[None, ..., :1, :1])
    near((..., torch.arange(M.rdim) % 2 == 0), D[..., torch.arange(M.rdim) % 2 == 0])
    near((..., None, slice(None), slice(None)), D[..., None, :, :])
    near((..., None, slice(None)), D[..., None, :])
    near((..., None), D[..., None])
    if M.leading and M.leading[0]:
        near(0, D[0])
        near(-1, D[-1])
        near(slice(0, 1), D[0:1])
        near([0, M.leading[0] - 1, 0], D[[0, M.leading[0] - 1, 0]])
        near(torch.arange(M.leading[0]) < 1, D[torch.arange(M.leading[0]) < 1])
        near(slice(0, 0), D[0:0])
        near(torch.tensor([[0, 0], [-1, 0]]), D[torch.tensor([[0, 0], [-1, 0]])])
    if len(M.leading) > 1:
        last = M.leading[1]
        near((slice(None), 0), D[:, 0])
        near((slice(None), [last - 1, 0]), D[:, [last - 1, 0]])
        near(([0, 0], [0, last - 1]), D[[0, 0], [0, last - 1]])
        near((0, slice(None, None, 2)), D[0, ::2])
        near((0, None, [0, last - 1]), D[0, None, [0, last - 1]])
        near(([0], None, [0, last - 1]), D[[0], None, [0, last - 1]])
        near(torch.ones(M.leading[:2], dtype=torch.bool), D[torch.ones(M.leading[:2], dtype=torch.bool)])


def products(M: FactoredMatrix, D: Tensor) -> None:
    coarse = {torch.bfloat16: 3e-2, torch.float16: 6e-3}.get(M.dtype, 10 * tolerance(M))
    right = torch.linspace(-1, 1, M.rdim * 3).reshape(M.rdim, 3).to(M.dtype)
    left = torch.linspace(-1, 1, M.ldim * 2).reshape(2, M.ldim).to(M.dtype)
    wide = D.dtype
    scale = max(size(D) * max(D.shape[-2:]), 1e-300)

    def near(ours: Tensor, truth: Tensor) -> None:
        assert ours.shape == truth.shape
        assert (ours.to(wide) - truth).abs().max() <= coarse * scale if truth.numel() else True

    near(formed(M @ right), D @ right.to(wide))
    near(formed(left @ M), left.to(wide) @ D)
    near(formed(torch.nn.Parameter(left) @ M @ torch.nn.Parameter(right)), left.to(wide) @ D @ right.to(wide))
    near(vector(M @ right[:, 0]), D @ right[:, 0].to(wide))
    near(vector(left[0] @ M), left[0].to(wide) @ D)
    near(
        formed(M @ right.expand(4, *(1 for _ in M.leading), M.rdim, 3)),
        D @ right.to(wide).expand(4, *(1 for _ in M.leading), M.rdim, 3),
    )
    near((M @ M.mH).dense() / max(size(D), 1e-30), D @ D.mH / max(size(D), 1e-30))


def transposes(M: FactoredMatrix, D: Tensor) -> None:
    coarse = {torch.bfloat16: 1e-2, torch.float16: 2e-3}.get(M.dtype, tolerance(M))
    for ours, truth in ((M.T, D.mT), (M.mT, D.mT), (M.mH, D.mH), (M.conj(), D.conj())):
        assert ours.shape == truth.shape
        assert (ours.dense().to(D.dtype) - truth).abs().max() <= coarse * max(size(D), 1e-300) if D.numel() else True


def identities(M: FactoredMatrix, D: Tensor) -> None:
    whole = D + torch.eye(M.ldim, dtype=D.dtype)
    plus = M.identity_plus()
    if not D.numel() or torch.linalg.cond(whole).max() > 1e4 or M.dtype in (torch.float16, torch.bfloat16):
        return
    scale = max(size(whole), 1.0)
    near = 1e4 * tolerance(M) * scale
    assert (plus.dense().to(D.dtype) - whole).abs().max() <= near
    assert ((plus @ plus).dense().to(D.dtype) - whole @ whole).abs().max() <= near * scale
    assert (plus.inverse().dense().to(D.dtype) - torch.linalg.inv(whole)).abs().max() <= near
    right = torch.ones(M.ldim, 2, dtype=M.dtype)
    assert (plus.solve(right).to(D.dtype) - torch.linalg.solve(whole, right.to(D.dtype))).abs().max() <= near
    assert (
        plus.solve(right[:, 0]).to(D.dtype) - torch.linalg.solve(whole, right.to(D.dtype))[..., 0]
    ).abs().max() <= near
    assert (formed(plus @ right).to(D.dtype) - whole @ right.to(D.dtype)).abs().max() <= near
    assert (formed(right.mT @ plus).to(D.dtype) - right.to(D.dtype).mT @ whole).abs().max() <= near
    assert (vector(right[:, 0] @ plus) - right[:, 0].to(D.dtype) @ whole).abs().max() <= near
    sign, logdet = torch.linalg.slogdet(whole)
    ours = plus.slogdet()
    close(ours.logabsdet, logdet, M, scale=100)
    close(ours.sign, sign, M, scale=10)
    close(plus.trace(), whole.diagonal(dim1=-2, dim2=-1).sum(-1), M, scale=scale * M.ldim)


def pytorch(M: FactoredMatrix, D: Tensor) -> None:
    U, S, Vh = torch.linalg.svd(M, full_matrices=False)
    close(U @ S.to(U.dtype).diag_embed() @ Vh, D, M)
    close(torch.linalg.svdvals(M), torch.linalg.svdvals(D)[..., : rank_count(M)], M)
    close(torch.linalg.matrix_norm(M), torch.linalg.matrix_norm(D), M)
    close(torch.linalg.matrix_norm(M, "nuc"), torch.linalg.matrix_norm(D, "nuc"), M)
    close(torch.linalg.matrix_norm(M, 2), torch.linalg.matrix_norm(D, 2), M)
    if D.numel():
        top = torch.linalg.svdvals(D)[..., :1].max().item()
        for options in ({"rtol": 1e-3}, {"atol": 1e-3 * top, "rtol": 0.0}, {"tol": 1e-3 * top}):
            assert torch.equal(torch.linalg.matrix_rank(M, **options), torch.linalg.matrix_rank(D, **options))


def pytorch_square(M: FactoredMatrix, D: Tensor) -> None:
    assert torch.equal(torch.linalg.eigvals(M), M.eigenvalues)
    eigenvalues(M, D)
    close(torch.trace(M), D.diagonal(dim1=-2, dim2=-1).sum(-1), M, scale=norm_power(D, 1))  # pyright: ignore[reportArgumentType]


Law = Callable[[FactoredMatrix, Tensor], None]

ANY: dict[str, Law] = {
    law.__name__: law
    for law in (
        dense, sides, singular_values, decomposition, left_collapsed, right_collapsed, norms, ranks, even, truncations, rounded,
        sums, entries, corner, lengths, statistics, largest, place, inner_products, pairs, angles, indexing, products,
        transposes, pytorch,
    )
}  # fmt: skip
SQUARE_ONLY: dict[str, Law] = {
    law.__name__: law
    for law in (reversed_product, eigenvalues, eigenvectors, trace, diagonal, share, identities, pytorch_square)
}

"""Questions whose derivative is known in closed form: the gradient with respect to M is itself a factored matrix.

If a question's gradient is `G = P Qᴴ`, then `d<G, M>/dFi` is the gradient with respect to each factor, and that is
the derivative of a trace, which is planned like any other. So nothing is differentiated through a decomposition:
singular values have the right gradient where they coincide or vanish, and no square matrix is formed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from refractor.linalg.chain import Chain, adjoint
from refractor.linalg.trace import trace_of_product

Outcome = tuple[Tensor, ...]
Pull = Callable[[Outcome], list[Chain]]
"""From the gradients of the outcome to the gradient with respect to M, as a sum of chains."""


def known_gradient(
    chain: Chain, ask: Callable[[Chain], Outcome], ask_and_pull: Callable[[Chain], tuple[Outcome, Pull]]
) -> Outcome:
    """Answer a question, with a gradient where one is wanted.

    Args:
        chain: the matrix that is asked.
        ask: returns the outcome.
        ask_and_pull: returns the outcome and the rule for its gradient.

    Returns:
        the outcome, connected to the factors if gradients are on and a factor asks for one. Its gradient cannot be
        differentiated again; PyTorch says so if it is tried.

    """
    if not (torch.is_grad_enabled() and chain.requires_grad):
        with torch.no_grad():
            return ask(chain)
    tensors = tuple(factor.tensor for factor in chain.factors)
    return _KnownGradient.apply(chain, ask_and_pull, *tensors)


class _KnownGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, chain: Chain, ask_and_pull: Callable[[Chain], tuple[Outcome, Pull]], *tensors: Tensor) -> Any:
        outcome, ctx.pull = ask_and_pull(chain)
        ctx.chain = chain
        ctx.save_for_backward(*tensors)
        return tuple(each.detach() for each in outcome)  # `pull` holds the others: no ring that keeps a graph alive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted = ctx.needs_input_grad[2:]
        free = [tensor.detach().requires_grad_(want) for tensor, want in zip(ctx.saved_tensors, wanted, strict=True)]
        chain = Chain.of(
            (factor.with_tensor(tensor) for factor, tensor in zip(ctx.chain.factors, free, strict=True)),
            ctx.chain.leading,
        )
        with torch.no_grad():
            gradients = ctx.pull(grads)
        with torch.enable_grad():
            value = torch.stack([trace_of_product(adjoint(gradient), chain) for gradient in gradients]).sum()
        asked = [tensor for tensor in free if tensor.requires_grad]
        if value.requires_grad:
            found = iter(torch.autograd.grad(value, asked))
        else:  # no entries, nothing that a gradient could say
            found = iter([torch.zeros_like(tensor) for tensor in asked])
        return None, None, *(next(found) if tensor.requires_grad else None for tensor in free)

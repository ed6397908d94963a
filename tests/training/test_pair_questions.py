"""The fast way of asking pairs gives the logits, the loss and the gradients of the plain way."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from refractor.base.numerics import LAW_TOLERANCE
from refractor.models import HookedTransformer
from refractor.models.pair_networks import PairNetwork, build_pair_network
from refractor.tasks import GroupComposition, ModularAddition, split_rows
from refractor.training import mean_loss
from refractor.training.ask import questions_for
from refractor.training.mean_loss import MeanLoss
from refractor.training.pair_questions import Gather, PairQuestions
from refractor.training.questions import TransformerQuestions

KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"architecture": "mlp", "d_embed": 12, "d_hidden": 10},
    "with biases": {"architecture": "mlp", "d_embed": 12, "d_hidden": 10, "biases": True},
    "shared": {"architecture": "mlp", "d_embed": 12, "d_hidden": 10, "shared": True},
    "two layers": {"architecture": "mlp", "d_embed": 12, "d_hidden": 10, "hidden_layers": 2, "biases": True},
    "bilinear": {"architecture": "bilinear", "d_embed": 12},
    "bilinear, shared": {"architecture": "bilinear", "d_embed": 12, "shared": True},
    "quadratic": {"architecture": "quadratic", "d_hidden": 10},
}


def make(kind: str, n: int, dtype: torch.dtype) -> PairNetwork:
    model = build_pair_network({**KINDS[kind], "n": n, "seed": 0, "dtype": dtype})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))
    return model


def plain(model: PairNetwork, tokens: Tensor, labels: Tensor) -> list[Tensor]:
    """Loss and gradients by autograd alone, both embeddings stacked where they are stacked in the formula."""
    seen: list[str] = []
    with model.hooks([(point, lambda t, hook: seen.append(hook.name)) for point in list(model.hook_dict)]):
        loss = functional.cross_entropy(model(tokens).double(), labels)
    assert seen == list(model.hook_dict)
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_the_plain_pass(kind: str, dtype: torch.dtype) -> None:
    task = GroupComposition("S4")
    model = make(kind, 24, dtype)
    rows = split_rows(task.n_rows, 0.4, 0).train
    tokens, labels = task.tokens()[rows], task.labels()[rows]
    questions = questions_for(model, tokens, labels)
    assert isinstance(questions, PairQuestions)
    logits = questions.logits()
    loss = questions.loss(logits)
    fast = [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]
    names = ["loss", *(name for name, _ in model.named_parameters())]
    for name, mine, truth in zip(names, fast, plain(model, tokens, labels), strict=True):
        error, scale = (mine - truth).abs().max().item(), truth.abs().max().item()
        assert error <= LAW_TOLERANCE[dtype] * scale, f"{name}: {error} of {scale}"
    assert questions.accuracy(logits) == (model(tokens).argmax(-1) == labels).double().mean().item()


@given(n=st.integers(2, 9), seed=st.integers(0, 99), count=st.integers(1, 40), kind=st.sampled_from(sorted(KINDS)))
def test_any_questions_give_the_same(n: int, seed: int, count: int, kind: str) -> None:
    """Elements that no question has, questions that come twice, fewer questions than elements."""
    task, model = ModularAddition(n), make(kind, n, torch.float64)
    rows = torch.randint(task.n_rows, (count,), generator=torch.Generator().manual_seed(seed))
    tokens, labels = task.tokens()[rows], task.labels()[rows]
    questions = PairQuestions(model, tokens, labels)
    loss = questions.loss(questions.logits())
    fast = [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]
    for mine, truth in zip(fast, plain(model, tokens, labels), strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-10, atol=1e-10)


def test_hooks_are_heard() -> None:
    model, task = make("mlp", 5, torch.float64), ModularAddition(5)
    questions = questions_for(model, task.tokens(), task.labels())
    before = questions.logits()
    for name in ("embed_stack", "hidden"):
        with model.hooks([(name, lambda t, hook: 0 * t)]):
            assert questions.logits().abs().max() == 0
    assert torch.equal(questions.logits(), before)


def test_no_questions_have_no_loss_and_transformers_are_asked_their_own_way() -> None:
    model, task = make("mlp", 5, torch.float64), ModularAddition(5)
    loss, accuracy = questions_for(model, task.tokens()[:0], task.labels()[:0]).evaluate()
    assert loss != loss
    assert accuracy != accuracy
    shape = {"n_layers": 1, "d_model": 8, "n_ctx": 3, "d_head": 4, "d_vocab": 6, "d_vocab_out": 5, "act_fn": "relu"}
    asked = questions_for(HookedTransformer(shape), task.tokens(), task.labels())
    assert isinstance(asked, TransformerQuestions)


@pytest.mark.parametrize("block", [1, 7, 64, 2**20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_mean_loss_is_that_of_torch_in_float64(
    dtype: torch.dtype, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mean_loss, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(6, (23,), generator=generator)
    loss = MeanLoss(labels)
    for scale in (0.0, 1.0, 30.0, 3000.0):  # the same memory is used again
        logits = (scale * torch.randn(23, 6, generator=generator)).to(dtype).requires_grad_()
        truth = functional.cross_entropy(logits.double(), labels)
        torch.testing.assert_close(loss(logits), truth, rtol=1e-13, atol=0)
        mine, wanted = (torch.autograd.grad(3 * value, logits)[0] for value in (loss(logits), truth))
        torch.testing.assert_close(mine, wanted, rtol=4 * torch.finfo(dtype).eps, atol=1e-16)


def test_a_loss_far_below_the_steps_of_float32_is_still_seen() -> None:
    """Right by 20 nats: the loss is 2e-9, and its gradient is no 0. In float32 both would be lost in 1 - p."""
    logits = torch.tensor([[20.0, 0.0]], requires_grad=True)
    loss = MeanLoss(torch.tensor([0]))(logits)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(2.0611536181902037e-09, rel=1e-7)
    assert gradient.tolist()[0] == pytest.approx([-2.0611536e-09, 2.0611536e-09], rel=1e-6)


@given(size=st.integers(1, 8), rows=st.integers(1, 20), cols=st.integers(1, 3), seed=st.integers(0, 99))
def test_gathered_sums_and_their_gradients(size: int, rows: int, cols: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(size, (rows, cols), generator=generator)
    table = torch.randn(size, 4, generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.randn(rows, 4, generator=generator, dtype=torch.float64)
    mine, truth = Gather(index, size)(table), table[index].sum(1)
    torch.testing.assert_close(mine, truth, rtol=1e-12, atol=1e-12)
    one, two = (torch.autograd.grad((weights * sums).sum(), table)[0] for sums in (mine, truth))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)

"""One training step of the S5 MLP (5,760 rows, embeddings of 256, 128 neurons): the trainer's against the plain one.

Both do forward, float64 cross-entropy, backward and AdamW from the same weights. The plain step is PyTorch as one would
write it: both embeddings stacked, two products, `cross_entropy` of the logits cast to float64, `torch.optim.AdamW` with
its defaults.
Run: python benchmarks/pair_training_step.py [rounds]
"""

import copy
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from paired import ratio, time_in_turn
from refractor.models.pair_networks import OneLayerMLP, PairNetworkConfig
from refractor.tasks import GroupComposition, split_rows
from refractor.training.ask import questions_for

TARGET = 3.0
HYPER = {"lr": 1e-3, "betas": (0.9, 0.98), "weight_decay": 1.0}


def plain_loss(model: OneLayerMLP, tokens: Tensor, labels: Tensor) -> Tensor:
    """Return the loss as one would write it."""
    stack = torch.hstack((model.W_x[tokens[:, 0]], model.W_y[tokens[:, 1]]))
    logits = functional.relu(stack @ model.W) @ model.W_U
    return functional.cross_entropy(logits.double(), labels)


def stepper(model: OneLayerMLP, loss: Callable[[], Tensor], **options: bool) -> Callable[[], None]:
    """Return one whole training step as a function."""
    optimizer = torch.optim.AdamW(model.parameters(), **HYPER, **options)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def trainers_loss(model: OneLayerMLP, tokens: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """Return the loss as the trainer takes it."""
    questions = questions_for(model, tokens, labels)
    return lambda: questions.loss(questions.logits())


def gradients(model: OneLayerMLP, loss: Tensor) -> list[Tensor]:
    """Return the gradients of a loss."""
    return list(torch.autograd.grad(loss, list(model.parameters())))


def measure(rounds: int) -> None:
    """Time the steps in this process."""
    task = GroupComposition("S5", ordering="sympy-coset-rank")
    rows = split_rows(task.n_rows, 0.4, 1).train
    tokens, labels = task.tokens()[rows], task.labels()[rows]
    model = OneLayerMLP(PairNetworkConfig(architecture="mlp", n=task.n, seed=1))
    exact = copy.deepcopy(model).double()
    truth = gradients(exact, plain_loss(exact, tokens, labels))
    print(f"{torch.get_num_threads()} threads; largest error of gradients, as a share of the largest (float64):")
    for name, mine in (
        ("trainer", gradients(model, trainers_loss(model, tokens, labels)())),
        ("plain", gradients(model, plain_loss(model, tokens, labels))),
    ):
        worst = max((a.double() - b).abs().max().item() for a, b in zip(mine, truth, strict=True))
        print(f"  {name:<8} {worst / max(g.abs().max().item() for g in truth):.1e}")
    fast, plain = copy.deepcopy(model), copy.deepcopy(model)
    seconds = time_in_turn(
        {
            "trainer": stepper(fast, trainers_loss(fast, tokens, labels), fused=True),
            "plain": stepper(plain, lambda: plain_loss(plain, tokens, labels)),
        },
        rounds,
    )
    mine, other = (1e3 * statistics.median(seconds[name]) for name in ("trainer", "plain"))
    times = ratio(seconds, "plain", "trainer")
    verdict = "ok" if times >= TARGET else "BELOW"
    print(f"  trainer {mine:7.2f} ms   plain {other:7.2f} ms   {times:.2f} x faster  (>= {TARGET} x)  {verdict}")


def main() -> None:
    """Time the steps in turn, on one thread and on two."""
    rounds = sys.argv[1] if len(sys.argv) > 1 else "31"
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads}
        subprocess.run([sys.executable, __file__, rounds, "--here"], env=environment, check=True)


if __name__ == "__main__":
    measure(int(sys.argv[1])) if "--here" in sys.argv else main()

"""One training step at p = 113: the trainer's tables against the same step over all positions.

Both do forward, float64 cross-entropy of the 3,830 training rows, backward, and fused AdamW, from the same
parameters. The naive step is written once on our model and once in plain PyTorch.
Run: python benchmarks/training_step.py [rounds]
"""

import copy
import os
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from forward_and_cache import MODULAR
from paired import time_in_turn
from refractor.base.numerics import cross_entropy
from refractor.models import HookedTransformer
from refractor.tasks import ModularAddition, split_rows
from refractor.training.last_position import last_logits

TARGET = 3.0


def stepper(model: HookedTransformer, logits: Callable[[], Tensor], labels: Tensor) -> Callable[[], None]:
    """Return one whole training step as a function."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(logits(), labels).mean().backward()
        optimizer.step()

    return step


def plain_logits(model: HookedTransformer, tokens: Tensor) -> Callable[[], Tensor]:
    """Return the pass in plain PyTorch over the live parameters of `model`, all positions."""
    block = model.blocks[0]
    attn, mlp, cfg = block.attn, block.mlp, model.cfg

    def heads(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        flat = weight.transpose(0, 1).reshape(cfg.d_model, -1)
        return functional.linear(x, flat.T, bias.flatten()).view(*x.shape[:2], cfg.n_heads, cfg.d_head).transpose(1, 2)

    def run() -> Tensor:
        x = model.embed.W_E[tokens] + model.pos_embed.W_pos
        q, k, v = heads(x, attn.W_Q, attn.b_Q), heads(x, attn.W_K, attn.b_K), heads(x, attn.W_V, attn.b_V)
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + z @ attn.W_O.flatten(0, 1) + attn.b_O
        x = x + functional.relu(x @ mlp.W_in + mlp.b_in) @ mlp.W_out + mlp.b_out
        return (x @ model.unembed.W_U + model.unembed.b_U)[:, -1]

    return run


def gradients(model: HookedTransformer, logits: Callable[[], Tensor], labels: Tensor) -> list[Tensor]:
    """Return the gradients of the loss."""
    return list(torch.autograd.grad(cross_entropy(logits(), labels).mean(), list(model.parameters())))


def main() -> None:
    """Time the steps in turn, on as many threads as torch takes and on one."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    for threads in (None, "1"):
        environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_MMAP_MAX_": "0"}
        environment |= {"OMP_NUM_THREADS": threads} if threads else {}
        subprocess.run([sys.executable, __file__, str(rounds), "--here"], env=environment, check=True)


def measure(rounds: int) -> None:
    """Time the steps in this process."""
    task = ModularAddition(113)
    rows = split_rows(task.n_rows, 0.3, 598).train
    tokens, labels = task.tokens()[rows], task.labels()[rows]
    model = HookedTransformer(MODULAR)
    print(
        f"{torch.get_num_threads()} threads; largest error of gradients, as a share of the largest gradient (float64):"
    )
    exact = copy.deepcopy(model).double()
    truth = gradients(exact, lambda: exact(tokens)[:, -1], labels)
    for name, mine in (
        ("tables", gradients(model, lambda: last_logits(model, tokens), labels)),
        ("all positions", gradients(model, lambda: model(tokens)[:, -1], labels)),  # one ReLU at its kink may flip
    ):
        worst = max((a.double() - b).abs().max().item() for a, b in zip(mine, truth, strict=True))
        print(f"  {name:<14} {worst / max(g.abs().max().item() for g in truth):.1e}")
    fast, naive, plain = (copy.deepcopy(model) for _ in range(3))
    seconds = time_in_turn(
        {
            "tables": stepper(fast, lambda: last_logits(fast, tokens), labels),
            "all positions": stepper(naive, lambda: naive(tokens)[:, -1], labels),
            "all positions, plain PyTorch": stepper(plain, plain_logits(plain, tokens), labels),
        },
        rounds,
    )
    medians = {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}
    for peer in ("all positions", "all positions, plain PyTorch"):
        ratios = sorted(b / a for a, b in zip(seconds["tables"], seconds[peer], strict=True))
        ratio = ratios[len(ratios) // 2]
        verdict = "ok" if ratio >= TARGET else "BELOW"
        print(
            f"  tables {1e3 * medians['tables']:7.1f} ms   {peer:<29} {1e3 * medians[peer]:7.1f} ms   "
            f"{ratio:.2f} x faster  (>= {TARGET} x)  {verdict}"
        )


if __name__ == "__main__":
    measure(int(sys.argv[1])) if "--here" in sys.argv else main()

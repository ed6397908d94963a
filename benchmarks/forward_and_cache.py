"""What hooks cost: a pass against plain PyTorch of the same shape, and caching against a pass.

The plain transformer is written with nothing but `torch.nn.functional`, on the same weights, laid out the way it likes
best. Run: python benchmarks/forward_and_cache.py [rounds]
"""

import os
import subprocess
import sys

import torch
from torch import Tensor
from torch.nn import functional

from paired import report, time_in_turn
from refractor.models import HookedTransformer, HookedTransformerConfig

GPT2_SMALL = HookedTransformerConfig(
    n_layers=12, d_model=768, n_ctx=1024, d_head=64, d_vocab=50257, act_fn="gelu_new", seed=0
)
MODULAR = HookedTransformerConfig(
    n_layers=1,
    d_model=128,
    n_ctx=3,
    d_head=32,
    d_vocab=114,
    d_vocab_out=113,
    act_fn="relu",
    normalization_type=None,
    seed=0,
)


def plain_transformer(model: HookedTransformer):
    """Return a function tokens -> logits in plain PyTorch, on contiguous copies of the weights of `model`."""
    cfg = model.cfg
    norm = cfg.normalization_type is not None
    act = {"relu": functional.relu, "gelu_new": lambda x: functional.gelu(x, approximate="tanh")}[cfg.act_fn or ""]
    w_e, w_pos = model.W_E.detach().clone(), model.W_pos.detach().clone()
    w_u, b_u = model.W_U.detach().clone(), model.b_U.detach().clone()
    layers = []
    for block in model.blocks:
        attn, mlp = block.attn, block.mlp
        q, k, v = (w.detach().transpose(0, 1).flatten(1).contiguous() for w in (attn.W_Q, attn.W_K, attn.W_V))
        b_q, b_k, b_v = (b.detach().flatten() for b in (attn.b_Q, attn.b_K, attn.b_V))
        ln = [p.detach() for part in (block.ln1, block.ln2) for p in (part.w, part.b)] if norm else [None] * 4
        layers.append(
            (
                *(q, k, v, b_q, b_k, b_v, attn.W_O.detach().flatten(0, 1), attn.b_O.detach()),
                *(mlp.W_in.detach(), mlp.b_in.detach(), mlp.W_out.detach(), mlp.b_out.detach()),
                *ln,
            )
        )
    final = (model.ln_final.w.detach(), model.ln_final.b.detach()) if norm else (None, None)

    def normed(x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], w, b, cfg.eps) if norm else x

    def run(tokens: Tensor, keep: list[Tensor] | None = None) -> Tensor:
        n_batch, n_pos = tokens.shape
        x = w_e[tokens] + w_pos[:n_pos]
        for q, k, v, b_q, b_k, b_v, w_o, b_o, w_in, b_in, w_out, b_out, w1, b1, w2, b2 in layers:
            y = normed(x, w1, b1).view(-1, cfg.d_model)
            heads = [
                torch.addmm(b, y, w).view(n_batch, n_pos, cfg.n_heads, cfg.d_head).transpose(1, 2)
                for w, b in ((q, b_q), (k, b_k), (v, b_v))
            ]
            z = functional.scaled_dot_product_attention(*heads, is_causal=True)
            attn_out = torch.addmm(b_o, z.transpose(1, 2).reshape(-1, w_o.shape[0]), w_o)
            mid = x + attn_out.view_as(x)
            y_mid = normed(mid, w2, b2).view(-1, cfg.d_model)
            pre = torch.addmm(b_in, y_mid, w_in)
            post = act(pre)
            mlp_out = torch.addmm(b_out, post, w_out)
            if keep is not None:
                keep += [x, y, *heads, z, attn_out, mid, y_mid, pre, post, mlp_out]
            x = mid + mlp_out.view_as(x)
        x = normed(x, *final)
        return torch.addmm(b_u, x.view(-1, cfg.d_model), w_u).view(n_batch, n_pos, -1)

    return run


def bench(name: str, cfg: HookedTransformerConfig, tokens: Tensor, cache_target: float, rounds: int) -> None:
    """Print the three ratios for one shape."""
    model = HookedTransformer(cfg)
    plain = plain_transformer(model)
    difference = (plain(tokens) - model(tokens)).abs().max().item()
    foreseen = model.cache_bytes(tokens)
    held = model.run_with_cache(tokens)[1].nbytes
    print(
        f"{name}: logits differ by {difference:.1e}; full cache {held / 1e6:.1f} MB, foreseen {foreseen / 1e6:.1f} MB"
    )

    def residual(point: str) -> bool:
        return "resid" in point

    seconds = time_in_turn(
        {
            "plain": lambda: plain(tokens),
            "forward": lambda: model(tokens),
            "plain, keeping all": lambda: plain(tokens, []),
            "cache everything": lambda: model.run_with_cache(tokens),
            "cache the residual stream": lambda: model.run_with_cache(tokens, names_filter=residual),
        },
        rounds,
    )
    report(seconds, "forward", "plain", 1.05)
    report(seconds, "cache everything", "forward", cache_target)
    report(seconds, "cache everything", "plain, keeping all", cache_target)
    report(seconds, "cache the residual stream", "forward", 1.05)


def measure(rounds: int) -> None:
    """Run both shapes in this process."""
    torch.set_grad_enabled(False)
    generator = torch.Generator().manual_seed(0)
    bench("GPT-2 small, 4 x 128 tokens", GPT2_SMALL, torch.randint(50257, (4, 128), generator=generator), 1.15, rounds)
    pairs = torch.cartesian_prod(torch.arange(113), torch.arange(113), torch.tensor([113]))
    bench("p = 113, all 12,769 rows", MODULAR, pairs, 1.25, rounds)


def main() -> None:
    """Run twice: with freed memory kept by the process, and with the C library's own habits."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, medians of {rounds} rounds in turn")
    print("\n1. Memory that was freed is used again (what hooks cost; the targets):", flush=True)
    run_again({"MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_MMAP_MAX_": "0"}, rounds)
    print("\n2. glibc hands freed memory back, so that 400 MB of cache are mapped in anew each time; keeping the")
    print("   same tensors in plain PyTorch pays that too:", flush=True)
    run_again({}, rounds)


def run_again(environment: dict[str, str], rounds: int) -> None:
    """Run `measure` in a process of its own, whose allocator is set by the environment."""
    command = [sys.executable, __file__, str(rounds), "--here"]
    subprocess.run(command, env=os.environ | environment, check=True)


if __name__ == "__main__":
    measure(int(sys.argv[1])) if "--here" in sys.argv else main()

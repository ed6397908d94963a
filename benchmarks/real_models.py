"""A language model from a local folder: loading, passes, caching and generation, against other libraries.

A checkpoint of GPT-2 small's size with random weights is written first. Loading is measured in processes of their own,
in turn: seconds from the start of Python to the first logits, and the most memory held beyond what was held when the
libraries had been imported. Passes and generation are measured in one process, in turn, on two threads.

Peers: transformers (sdpa), and the bridge of transformer-lens 4.3 where it is installed; with --peer-python its
interpreter in an environment of its own. Run: python benchmarks/real_models.py [--rounds N] [--peer-python PATH]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from paired import report, time_in_turn

CONFIG = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "n_layer": 12,
    "n_head": 12,
    "n_embd": 768,
    "n_positions": 1024,
    "vocab_size": 50257,
    "activation_function": "gelu_new",
    "tie_word_embeddings": True,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
}
WEIGHTS = 124_439_808 * 4  # bytes

WATCH = """
import json, resource, sys, time
began = time.perf_counter()
{imports}
import torch
torch.set_num_threads(2)
folder = sys.argv[1]
def peak():
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith('VmHWM'))
def held():
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith('VmRSS'))
before = held()
open('/proc/self/clear_refs', 'w').write('5')
{load}
loaded = peak()
with torch.no_grad():
    model(torch.arange(100, 116).unsqueeze(0))
print(json.dumps({{'seconds': time.perf_counter() - began, 'peak': loaded - before, 'after': peak() - before}}))
"""

WRITE = """
import json, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from refractor.checkpoints import drawn, save_pretrained
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
text = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
text.pre_tokenizer, text.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
text.add_special_tokens(["<|endoftext|>"])
model = drawn(json.loads(sys.argv[1]))
model.set_tokenizer(text)
save_pretrained(model, sys.argv[2])
"""

OURS = "from refractor import HookedTransformer"
KINDS = {
    "refractor": (OURS, "model = HookedTransformer.from_pretrained_no_processing(folder)"),
    "refractor, rewritten": (OURS, "model = HookedTransformer.from_pretrained(folder)"),
    "transformers": (
        "from transformers import AutoModelForCausalLM",
        "model = AutoModelForCausalLM.from_pretrained(folder, dtype='float32')",
    ),
    "transformer-lens 4.3 bridge": (
        "from transformer_lens.model_bridge import TransformerBridge",
        "model = TransformerBridge.boot_transformers(folder, device='cpu')",
    ),
    "transformer-lens 4.3 bridge, rewritten": (
        "from transformer_lens.model_bridge import TransformerBridge",
        "model = TransformerBridge.boot_transformers(folder, device='cpu'); model.enable_compatibility_mode()",
    ),
}


def run_alone(kind: str, folder: Path, python: str) -> dict[str, float] | None:
    """Load and run once in a fresh process; None where the library is not there."""
    imports, load = KINDS[kind]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    code = WATCH.format(imports=imports, load=load)
    done = subprocess.run(
        [python, "-c", code, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        print(f"  {kind}: not measured ({done.stderr.strip().splitlines()[-1][:160]})")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def loading(folder: Path, rounds: int, peer_python: str) -> None:
    """Print seconds and memory of loading, every library in turn."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for kind in KINDS:
            if kind in found and not found[kind]:
                continue
            one = run_alone(kind, folder, peer_python if "lens" in kind else sys.executable)
            found.setdefault(kind, []).extend([one] if one else [])
    print(f"loading, {rounds} processes each in turn; memory as a multiple of the weights ({WEIGHTS / 1e6:.0f} MB)")
    for kind, runs in found.items():
        if runs:
            seconds, peak, after = (
                statistics.median(run[name] for run in runs) for name in ("seconds", "peak", "after")
            )
            print(
                f"  {kind:<40} {seconds:6.2f} s to the first logits, peak {peak / WEIGHTS:5.2f}, "
                f"then {after / WEIGHTS:5.2f}"
            )
    for ours, target in (("refractor", 1.25), ("refractor, rewritten", 1.35)):
        peak = statistics.median(run["peak"] for run in found[ours]) / WEIGHTS
        print(f"  peak of {ours:<32} {peak:5.3f}  (<= {target})  {'ok' if peak <= target else 'ABOVE'}")
    for ours, peer in (
        ("refractor", "transformer-lens 4.3 bridge"),
        ("refractor, rewritten", "transformer-lens 4.3 bridge, rewritten"),
    ):
        if found.get(peer):
            pairs = zip(found[ours], found[peer], strict=True)
            value = statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)
            print(f"  {ours} / {peer}: {value:5.3f}  (<= 0.4)  {'ok' if value <= 0.4 else 'ABOVE'}")


def passes(folder: Path, rounds: int) -> None:
    """Print ratios of passes, of caching and of generation."""
    import torch
    from transformers import AutoModelForCausalLM

    from refractor import HookedTransformer

    torch.set_num_threads(2)
    model = HookedTransformer.from_pretrained_no_processing(str(folder))
    peer = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32).eval()
    tokens = torch.randint(50257, (4, 128), generator=torch.Generator().manual_seed(0))
    prompt = tokens[:1, :32]
    options = {"max_new_tokens": 64, "do_sample": False}
    with torch.no_grad():
        print("passes of 4 x 128 tokens, float32")
        seconds = time_in_turn(
            {
                "forward": lambda: model(tokens),
                "transformers": lambda: peer(tokens, use_cache=False),
                "run_with_cache": lambda: model.run_with_cache(tokens),
            },
            rounds,
        )
        report(seconds, "forward", "transformers", 1.05)
        report(seconds, "run_with_cache", "forward", 1.15)
        print("64 tokens after a prompt of 32, greedy, with keys and values kept")
        attention = torch.ones_like(prompt)
        seconds = time_in_turn(
            {
                "generate": lambda: model.generate(prompt, stop_at_eos=False, verbose=False, **options),
                "transformers generate": lambda: peer.generate(
                    prompt, attention_mask=attention, min_new_tokens=64, pad_token_id=0, **options
                ),
            },
            max(rounds // 2, 3),
            warm_up=1,
        )
        report(seconds, "generate", "transformers generate", 1.1)


def main() -> None:
    """Write the checkpoint and run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has transformer-lens 4.3")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "gpt2-small-drawn"
        subprocess.run([sys.executable, "-c", WRITE, json.dumps(CONFIG), str(folder)], check=True)
        loading(folder, max(options.rounds // 3, 1), options.peer_python)
        passes(folder, options.rounds)


if __name__ == "__main__":
    main()

"""Runs to report on, every odd kind that a page must survive among them; and a reader of pages."""

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from refractor.base.store import RunFolder
from refractor.models import HookedTransformerConfig
from refractor.report.encode import Quantised
from refractor.tasks import ModularAddition, ModularSubtraction
from refractor.tasks.modular import ModularArithmetic
from refractor.training import TrainingConfig, open_run, train


def trained(
    folder: Path,
    task: ModularArithmetic,
    steps: int = 30,
    fraction: float = 0.6,
    shuffle: int | None = None,
    **model: Any,
) -> Path:
    """A run folder of a network too small and too short to have learned anything, unless it trains long."""
    sizes = {"n_layers": 1, "n_heads": 2, "d_model": 12, "d_head": 6, "d_mlp": 16, "n_ctx": 3, "act_fn": "relu"}
    config = HookedTransformerConfig.from_dict(
        {**sizes, "normalization_type": None, "seed": 0, "d_vocab": task.d_vocab, "d_vocab_out": task.p, **model}
    )
    training = TrainingConfig(
        steps=steps, fraction=fraction, split_seed=0, evaluate_every=5, snapshot_every=10, shuffle_labels=shuffle
    )
    train(task, config, training, folder)
    return folder


def blank(folder: Path, p: int) -> Path:
    """A network of zeros: constant logits, dead neurons, no key frequency."""
    trained(folder, ModularAddition(p), steps=0)
    weights = open_run(folder).load_model().state_dict()
    RunFolder(folder).write_snapshot(0, {name: torch.zeros_like(tensor) for name, tensor in weights.items()})
    return folder


def without_curves(folder: Path) -> Path:
    """A run that kept weights and nothing else."""
    trained(folder, ModularAddition(7))
    (folder / "state.safetensors").unlink()
    return folder


ODD: dict[str, Callable[[Path], Path]] = {
    "p = 11": lambda folder: trained(folder, ModularAddition(11)),
    "even p": lambda folder: trained(folder, ModularAddition(8)),
    "tiny p": lambda folder: trained(folder, ModularAddition(5)),
    "p = 3": lambda folder: trained(folder, ModularAddition(3)),
    "p = 2": lambda folder: trained(folder, ModularAddition(2)),
    "subtraction": lambda folder: trained(folder, ModularSubtraction(7)),
    "no test pairs": lambda folder: trained(folder, ModularAddition(7), fraction=1.0),
    "attention only": lambda folder: trained(folder, ModularAddition(7), attn_only=True, d_mlp=None),
    "two layers, norms": lambda folder: trained(
        folder, ModularAddition(7), n_layers=2, act_fn="gelu", normalization_type="LN", n_heads=5
    ),
    "no positions": lambda folder: trained(folder, ModularAddition(7), positional_embedding_type=None),
    "permuted answers": lambda folder: trained(folder, ModularAddition(7), shuffle=1),
    "untrained": lambda folder: trained(folder, ModularAddition(7), steps=0),
    "zeros": lambda folder: blank(folder, 7),
    "no curves": without_curves,
}


@dataclass
class Page(HTMLParser):
    """What a test reads of a page."""

    source: str
    texts: list[tuple[str, str]] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read it."""
        super().__init__()
        self.open: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def of(self, *tags: str) -> list[str]:
        """The texts within these tags."""
        return [text for tag, text in self.texts if tag in tags]

    @property
    def words(self) -> str:
        """All that is written, without scripts and styles."""
        return "\n".join(text for tag, text in self.texts if tag not in {"script", "style"})

    @property
    def ids(self) -> list[str]:
        """Every id, in order."""
        return [identifier for _, attributes in self.elements if (identifier := attributes.get("id"))]

    @property
    def snippets(self) -> list[str]:
        """The lines of Python beside the figures."""
        return self.of("code")

    @property
    def data(self) -> dict[str, Any]:
        """The numbers that the scripts draw."""
        text = self.source.split('id="data">', 1)[1].split("</script>", 1)[0]
        return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no number that JSON knows"))


def decoded(quantised: dict[str, Any] | Quantised) -> torch.Tensor:
    """The numbers that bytes stand for."""
    parts = quantised if isinstance(quantised, dict) else quantised.__dict__
    raw = torch.frombuffer(bytearray(base64.b64decode(parts["bytes"])), dtype=torch.int8)
    return parts["offset"] + parts["scale"] * raw.double().reshape(list(parts["shape"]))


def run_snippet(snippet: str) -> dict[str, Any]:
    """Run lines of Python, and return what they have named."""
    space: dict[str, Any] = {}
    exec(compile(snippet, "snippet", "exec"), space)
    return space


def drawn_numbers(panel: dict[str, Any]) -> Iterator[list[float | None]]:
    """Every list of numbers that a panel draws."""
    if panel["kind"] in {"lines", "dots"}:
        assert panel["series"], f"{panel['title']} has no series"
        for series in panel["series"]:
            yield series["x"]
            yield series["y"]
            assert len(series["x"]) == len(series["y"])
    elif panel["kind"] == "bars":
        assert len(panel["labels"]) == len(panel["values"])
        yield panel["values"]
    else:
        quantised = panel["data" if panel["kind"] == "heat" else "logits"]
        assert math.isfinite(quantised["scale"])
        assert math.isfinite(quantised["offset"])
        assert len(base64.b64decode(quantised["bytes"])) == math.prod(quantised["shape"])
        yield decoded(quantised).flatten().tolist()

"""`PairNetwork`: what the small networks that read two elements have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from refractor.base.checks import check_tokens
from refractor.base.errors import ArgumentError, CheckpointError, ShapeError
from refractor.hooks.root import HookedRootModule
from refractor.models.pair_networks.config import PairNetworkConfig
from refractor.models.state import check_state

ALIASES: Mapping[bool, Mapping[str, str]] = MappingProxyType(
    {
        False: MappingProxyType({"W_E_a": "W_x", "W_E_b": "W_y"}),
        True: MappingProxyType({"W_E_a": "W_E", "W_E_b": "W_E", "W_x": "W_E", "W_y": "W_E"}),
    }
)
"""By whether the embedding is shared: other names of the embeddings, and the parameter that each is. The earliest runs
of the 2023 study, and its notebook, call the embeddings W_E_a and W_E_b."""


class PairNetwork(HookedRootModule, ABC):
    """A network from two elements x, y of n to n logits: `logits = read_out(A[x] ∘ B[y])`.

    A and B (`tables`) have a row for each element, and ∘ is a sum or a product. A subclass registers its parameters
    with `_draw`, in the order in which the published code draws them, and calls `setup()` last.

    Args:
        cfg: the architecture.

    """

    joins: ClassVar[Literal["sum", "product"]]
    """What ∘ is."""

    def __init__(self, cfg: PairNetworkConfig) -> None:
        super().__init__()
        self.cfg = cfg

    def _draw(self, name: str, rows: int, cols: int, fan: int, generator: torch.Generator | None) -> None:
        """Register a matrix with entries N(0, 1) / sqrt(fan).

        Numbers are drawn on the CPU in float32, so that a seed gives the same network on every device and dtype.
        """
        cfg = self.cfg
        if cfg.init_weights and torch.device(cfg.device).type != "meta":
            drawn = torch.randn(rows, cols, generator=generator) / fan**0.5
        else:
            drawn = torch.zeros(rows, cols, device=cfg.device)
        self.register_parameter(name, nn.Parameter(drawn.to(cfg.device, cfg.torch_dtype)))

    def _zeros(self, name: str, size: int) -> None:
        self.register_parameter(
            name, nn.Parameter(torch.zeros(size, device=self.cfg.device, dtype=self.cfg.torch_dtype))
        )

    def _generator(self) -> torch.Generator | None:
        return None if self.cfg.seed is None else torch.Generator().manual_seed(self.cfg.seed)

    # ---- the pass ------------------------------------------------------------------------------------------------

    @abstractmethod
    def folded(self) -> tuple[Float[Tensor, "n width"], Float[Tensor, "n width"]]:
        """Return what each element adds (or multiplies) as x and as y, without biases."""

    def tables(self) -> tuple[Float[Tensor, "n width"], Float[Tensor, "n width"]]:
        """Return A and B, biases included."""
        return self.folded()

    @abstractmethod
    def read_out(self, joined: Float[Tensor, "batch width"]) -> Float[Tensor, "batch n"]:
        """Return the logits that follow from A[x] ∘ B[y]."""

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch n"]:
        """Return the logits.

        Args:
            tokens: pairs [x, y], or questions [x, y, n] as tasks write them, where the token n stands for "=".

        Raises:
            ShapeError: the tokens have other axes or are no integers.
            ArgumentError: an element is out of range, or the third token is not "=".

        """
        return self.read_out(self.joined(*self.operands(tokens)))

    def joined(self, x: Int[Tensor, " batch"], y: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """Return A[x] ∘ B[y]."""
        first, second = self.tables()
        rows = nn.functional.embedding(x, first), nn.functional.embedding(y, second)
        return rows[0] + rows[1] if self.joins == "sum" else rows[0] * rows[1]

    def operands(self, tokens: Int[Tensor, "batch pos"]) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
        """Return x and y of questions [x, y] or [x, y, =].

        Raises:
            ShapeError: the tokens have other axes or are no integers.
            ArgumentError: an element is out of range, or the third token is not "=".

        """
        n = self.cfg.n
        if tokens.ndim != 2 or tokens.shape[1] not in (2, 3):
            raise ShapeError(
                f"tokens must have shape [batch, 2], elements x and y, or [batch, 3] with the token {n} for '=' "
                f"behind them; {list(tokens.shape)} came."
            )
        check_tokens("elements", tokens[:, :2], n)
        if tokens.shape[1] == 3 and not tokens.is_meta and not bool((tokens[:, 2] == n).all()):
            wrong = int(tokens[:, 2][tokens[:, 2] != n][0])
            raise ArgumentError(f"the third token must be {n}, which stands for '='; {wrong} came.")
        tokens = tokens.long()
        return tokens[:, 0], tokens[:, 1]

    # ---- weights -------------------------------------------------------------------------------------------------

    @property
    def aliases(self) -> Mapping[str, str]:
        """Other names of parameters, and the parameter that each is."""
        return ALIASES[self.cfg.shared]

    def __getattr__(self, name: str) -> Any:
        """Return a parameter by another of its names, or what a module has."""
        if name.startswith("W_") and name not in self._parameters:
            name = self.aliases.get(name, name)
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign an attribute; a parameter, under any of its names, must keep its shape.

        Raises:
            ShapeError: a parameter comes with another shape.

        """
        there = vars(self).get("_parameters", {})
        if name not in there and isinstance(value, nn.Parameter) and "cfg" in vars(self):
            name = self.aliases.get(name, name)
        if name in there and isinstance(value, nn.Parameter) and value.shape != there[name].shape:
            raise ShapeError(f"{name} must have shape {list(there[name].shape)}; {list(value.shape)} came.")
        super().__setattr__(name, value)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights under any of their names.

        Raises:
            CheckpointError: with `strict`, a tensor is missing, left over, of another shape, or there twice.

        """
        renamed: dict[str, Any] = {}
        for given, tensor in state_dict.items():
            name = given if given in self._parameters else self.aliases.get(given, given)
            if name in renamed:
                raise CheckpointError(f"the weights hold {name!r} twice, the second time as {given!r}.")
            renamed[name] = tensor
        state = check_state(self, renamed) if strict else renamed
        return super().load_state_dict(state, strict=strict, assign=assign)

    def _apply(self, fn: Any, recurse: bool = True) -> "PairNetwork":
        """Move or cast the parameters, and note in the configuration where they lie now."""
        super()._apply(fn, recurse)
        one = next(self.parameters())
        self.cfg = self.cfg.placed(one.device, one.dtype)
        return self

"""The one-layer MLP of the 2023 study of group operations, and its variants."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.pair_networks.config import PairNetworkConfig
from refractor.models.pair_networks.network import PairNetwork


class OneLayerMLP(PairNetwork):
    """`logits = ReLU([W_x[x]; W_y[y]] W + b_1) W_U + b_U` (Chughtai, Chan & Nanda 2023).

    With two hidden layers `ReLU(hidden W_2 + b_2)` comes between hidden layer and unembedding. `W_x, W_y`
    [n, d_embed] ~ N(0, 1) / sqrt(d_embed), `W` [2 d_embed, d_hidden] / sqrt(2 d_embed), `W_2` and `W_U` [d_hidden, n]
    / sqrt(d_hidden), drawn in this order. A shared embedding is `W_E`. The notebook's `W_E_a`, `W_E_b` are other names
    of `W_x`, `W_y`: to read, to assign and to load.

    Hook points: `embed_stack` [batch, 2 d_embed], `hidden` and `hidden_2` [batch, d_hidden], behind the ReLU. As long
    as nothing is hooked at `embed_stack`, `W_x W[:d_embed]` and `W_y W[d_embed:]` are multiplied first, and gathered
    then: the same up to rounding.

    Args:
        cfg: the architecture, "mlp".

    >>> model = OneLayerMLP(PairNetworkConfig(architecture="mlp", n=6, d_embed=8, d_hidden=4, seed=0))
    >>> logits, cache = model.run_with_cache(torch.cartesian_prod(torch.arange(6), torch.arange(6)))
    >>> logits.shape, cache["embed_stack"].shape, cache["hidden"].shape
    (torch.Size([36, 6]), torch.Size([36, 16]), torch.Size([36, 4]))

    """

    joins = "sum"
    W_x: nn.Parameter
    W_y: nn.Parameter
    W_E: nn.Parameter
    W_E_a: nn.Parameter
    W_E_b: nn.Parameter
    W: nn.Parameter
    W_2: nn.Parameter
    W_U: nn.Parameter
    b_1: nn.Parameter
    b_2: nn.Parameter
    b_U: nn.Parameter

    def __init__(self, cfg: PairNetworkConfig) -> None:
        super().__init__(cfg)
        n, d, h, generator = cfg.n, cfg.d_embed or 0, cfg.d_hidden or 0, self._generator()
        for name in ("W_E",) if cfg.shared else ("W_x", "W_y"):
            self._draw(name, n, d, d, generator)
        self._draw("W", 2 * d, h, 2 * d, generator)
        if cfg.hidden_layers == 2:
            self._draw("W_2", h, h, h, generator)
        self._draw("W_U", h, n, h, generator)
        if cfg.biases:
            for name, size in (("b_1", h), *([("b_2", h)] if cfg.hidden_layers == 2 else []), ("b_U", n)):
                self._zeros(name, size)
        self.embed_stack = HookPoint(("batch", "both"))
        self.hidden = HookPoint(("batch", "neuron"))
        if cfg.hidden_layers == 2:
            self.hidden_2 = HookPoint(("batch", "neuron"))
        self.setup()

    def folded(self) -> tuple[Float[Tensor, "n neuron"], Float[Tensor, "n neuron"]]:
        """Return `A = W_x W[:d_embed]` and `B = W_y W[d_embed:]`, what each element adds to the hidden layer."""
        d = self.cfg.d_embed
        return self.W_x @ self.W[:d], self.W_y @ self.W[d:]

    def tables(self) -> tuple[Float[Tensor, "n neuron"], Float[Tensor, "n neuron"]]:
        """Return `A + b_1` and B."""
        first, second = self.folded()
        return (first + self.b_1 if self.cfg.biases else first), second

    def joined(self, x: Int[Tensor, " batch"], y: Int[Tensor, " batch"]) -> Float[Tensor, "batch neuron"]:
        """Return the hidden layer before its ReLU."""
        if not self.embed_stack.hooked and len(x) >= self.cfg.n:  # fewer pairs than elements: folding would cost more
            return super().joined(x, y)
        stack = torch.cat([nn.functional.embedding(x, self.W_x), nn.functional.embedding(y, self.W_y)], dim=1)
        before = self.embed_stack(stack) @ self.W
        return before + self.b_1 if self.cfg.biases else before

    def read_out(self, joined: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch n"]:
        """Return the logits that follow from the hidden layer before its ReLU."""
        hidden = self.hidden(joined.relu())
        if self.cfg.hidden_layers == 2:
            before = hidden @ self.W_2
            hidden = self.hidden_2((before + self.b_2 if self.cfg.biases else before).relu())
        logits = hidden @ self.W_U
        return logits + self.b_U if self.cfg.biases else logits

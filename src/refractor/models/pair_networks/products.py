"""Networks whose hidden layer is of second degree in the embeddings: no ReLU."""

from jaxtyping import Float
from torch import Tensor, nn

from refractor.hooks.point import HookPoint
from refractor.models.pair_networks.config import PairNetworkConfig
from refractor.models.pair_networks.network import PairNetwork


class BilinearNet(PairNetwork):
    """`logits = (W_x[x] * W_y[y]) W_U` (Chughtai, Chan & Nanda 2023).

    `W_x, W_y` [n, d_embed] and `W_U` [d_embed, n] ~ N(0, 1) / sqrt(d_embed), drawn in this order. A shared embedding is
    `W_E`; `W_E_a`, `W_E_b` are other names of `W_x`, `W_y`. Hook point: `hidden` [batch, d_embed], the product.

    Args:
        cfg: the architecture, "bilinear".

    >>> import torch
    >>> model = BilinearNet(PairNetworkConfig(architecture="bilinear", n=6, d_embed=8, seed=0))
    >>> model(torch.tensor([[1, 2], [3, 4]])).shape
    torch.Size([2, 6])

    """

    joins = "product"
    W_x: nn.Parameter
    W_y: nn.Parameter
    W_E: nn.Parameter
    W_E_a: nn.Parameter
    W_E_b: nn.Parameter
    W_U: nn.Parameter

    def __init__(self, cfg: PairNetworkConfig) -> None:
        super().__init__(cfg)
        d, generator = cfg.d_embed or 0, self._generator()
        for name in ("W_E",) if cfg.shared else ("W_x", "W_y"):
            self._draw(name, cfg.n, d, d, generator)
        self._draw("W_U", d, cfg.n, d, generator)
        self.hidden = HookPoint(("batch", "neuron"))
        self.setup()

    def folded(self) -> tuple[Float[Tensor, "n width"], Float[Tensor, "n width"]]:
        """Return `W_x` and `W_y`."""
        return self.W_x, self.W_y

    def read_out(self, joined: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch n"]:
        """Return `joined W_U`."""
        return self.hidden(joined) @ self.W_U


class QuadraticNetwork(PairNetwork):
    """`logits = (U[x] + V[y])² W` (Gromov 2023, who gives weights that solve modular addition exactly).

    `U, V` [n, d_hidden] and `W` [d_hidden, n] ~ N(0, 1) / sqrt(d_hidden), drawn in this order. Hook point: `hidden`
    [batch, d_hidden], the squares.

    Args:
        cfg: the architecture, "quadratic".

    >>> import torch
    >>> model = QuadraticNetwork(PairNetworkConfig(architecture="quadratic", n=6, d_hidden=8, seed=0))
    >>> model(torch.tensor([[1, 2], [3, 4]])).shape
    torch.Size([2, 6])

    """

    joins = "sum"
    U: nn.Parameter
    V: nn.Parameter
    W: nn.Parameter

    def __init__(self, cfg: PairNetworkConfig) -> None:
        super().__init__(cfg)
        h, generator = cfg.d_hidden or 0, self._generator()
        self._draw("U", cfg.n, h, h, generator)
        self._draw("V", cfg.n, h, h, generator)
        self._draw("W", h, cfg.n, h, generator)
        self.hidden = HookPoint(("batch", "neuron"))
        self.setup()

    @property
    def aliases(self) -> dict[str, str]:
        """No parameter has another name."""
        return {}

    def folded(self) -> tuple[Float[Tensor, "n width"], Float[Tensor, "n width"]]:
        """Return U and V."""
        return self.U, self.V

    def read_out(self, joined: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch n"]:
        """Return `joined² W`."""
        return self.hidden(joined.square()) @ self.W

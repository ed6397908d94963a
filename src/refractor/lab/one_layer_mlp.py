"""The small network of the 2023 studies that is no transformer: two embeddings side by side, one hidden layer."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import CheckpointError

NAMES = {"W_x": "W_x", "W_y": "W_y", "W_E_a": "W_x", "W_E_b": "W_y", "W": "W", "W_U": "W_U"}
"""Names under which the weights were stored; the earliest runs called the embeddings W_E_a and W_E_b."""


@dataclass(frozen=True, eq=False)
class OneLayerMLP:
    """`logits = ReLU([W_x[x]; W_y[y]] W) W_U` (Chughtai et al. 2023), n elements, embeddings of width d.

    Args:
        W_x: embedding of the first operand.
        W_y: embedding of the second operand.
        W: both embeddings, one above the other, to the hidden layer.
        W_U: hidden layer to outputs.

    """

    W_x: Float[Tensor, "n width"]
    W_y: Float[Tensor, "n width"]
    W: Float[Tensor, "both neuron"]
    W_U: Float[Tensor, "neuron n"]

    def __post_init__(self) -> None:
        """Check that the shapes fit each other.

        Raises:
            CheckpointError: they do not.

        """
        (n, d), shapes = self.W_x.shape, {name: list(getattr(self, name).shape) for name in ("W_x", "W_y", "W", "W_U")}
        hidden = self.W.shape[1]
        if shapes != {"W_x": [n, d], "W_y": [n, d], "W": [2 * d, hidden], "W_U": [hidden, n]}:
            raise CheckpointError(
                f"the weights must have shapes [n, d], [n, d], [2 d, neuron], [neuron, n]; {shapes} came."
            )

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor]) -> "OneLayerMLP":
        """Take the weights out of a state dict, in float64.

        Raises:
            CheckpointError: a weight is missing, left over, or of another shape.

        """
        unknown = sorted(set(weights) - set(NAMES))
        named = {NAMES[name]: weight.detach().cpu().double() for name, weight in weights.items() if name in NAMES}
        missing = sorted(set(NAMES.values()) - set(named))
        if unknown or missing or len(named) != len(weights):
            raise CheckpointError(
                f"a one-layer MLP has the weights W_x, W_y, W, W_U; missing: {missing}, left over: {unknown}."
            )
        return cls(**named)

    def folded(self) -> tuple[Float[Tensor, "n neuron"], Float[Tensor, "n neuron"]]:
        """Return what each operand adds to the hidden layer before the ReLU: `A[x] + B[y]`."""
        width = self.W_x.shape[1]
        return self.W_x @ self.W[:width], self.W_y @ self.W[width:]

    def hidden(self) -> Float[Tensor, "pairs neuron"]:
        """Return the activations of all pairs, x-major."""
        first, second = self.folded()
        return (first[:, None] + second).relu().flatten(0, 1)

    def logits(self) -> Float[Tensor, "pairs n"]:
        """Return the logits of all pairs, x-major."""
        return self.hidden() @ self.W_U

"""What a question about weights asks of: a model, or files that are read a layer at a time.

`circuits` asks nothing else, so a model that does not fit into memory can be asked the same questions.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError, unknown_name
from refractor.linalg import FactoredMatrix
from refractor.models.circuits import note_on_output, note_on_scores, shared_by_heads
from refractor.models.config import HookedTransformerConfig
from refractor.models.transformer import HookedTransformer


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """All weights of one layer, by the names that they have in its block, such as `attn.W_Q`, `mlp.b_in`, `ln1.w`.

    What heads share is stored once per key/value head, under `attn._W_K` …; `OV` and `QK` do not repeat it either.

    Args:
        cfg: the architecture.
        layer: which layer.
        tensors: the weights.

    """

    cfg: HookedTransformerConfig
    layer: int
    tensors: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        """Return one weight.

        Raises:
            UnknownNameError: the layer has none of that name.

        """
        if name not in self.tensors:
            raise unknown_name(f"weight of layer {self.layer}", name, self.tensors)
        return self.tensors[name]

    def of_kv_heads(self, name: str) -> Tensor:
        """Return one of `W_K`, `W_V`, `b_K`, `b_V` as it is stored, with an axis of kv_heads."""
        return self[f"attn.{'' if self.cfg.n_key_value_heads is None else '_'}{name}"]

    @property
    def OV(self) -> FactoredMatrix:
        """OV circuits of this layer's heads, `[head, d_model, d_model]`: see `HookedTransformer.OV`."""
        values = shared_by_heads(self.of_kv_heads("W_V"), self.cfg)
        return FactoredMatrix(values, self["attn.W_O"]).with_note(note_on_output(self.cfg))

    @property
    def QK(self) -> FactoredMatrix:
        """QK circuits of this layer's heads, `[head, d_model, d_model]`: see `HookedTransformer.QK`."""
        keys = shared_by_heads(self.of_kv_heads("W_K").mT, self.cfg)
        return FactoredMatrix(self["attn.W_Q"], keys).with_note(note_on_scores(self.cfg))


class WeightSource(ABC):
    """The weights of a transformer: what belongs to no layer, and layer by layer."""

    @property
    @abstractmethod
    def cfg(self) -> HookedTransformerConfig:
        """The architecture."""

    @abstractmethod
    def ends(self) -> Mapping[str, Tensor]:
        """Return what belongs to no layer, by full name, such as `embed.W_E`, `pos_embed.W_pos`, `unembed.W_U`."""

    @abstractmethod
    def layer(self, layer: int) -> LayerWeights:
        """Return the weights of one layer; negative numbers count from the end.

        Raises:
            ArgumentError: there is no such layer.

        """

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """Token embedding."""
        return self.ends()["embed.W_E"]

    @property
    def W_pos(self) -> Float[Tensor, "n_ctx d_model"] | None:
        """Learned positions; None where there are none."""
        return self.ends().get("pos_embed.W_pos")

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab_out"]:
        """Unembedding."""
        return self.ends()["unembed.W_U"]

    @property
    def b_U(self) -> Float[Tensor, " d_vocab_out"]:
        """Bias of the logits."""
        return self.ends()["unembed.b_U"]

    def layers(self) -> Iterator[LayerWeights]:
        """Yield the layers in order; a source that reads files holds one at a time."""
        for layer in range(self.cfg.n_layers):
            yield self.layer(layer)

    def number(self, layer: int) -> int:
        """Return the number of a layer counted from the front.

        Raises:
            ArgumentError: there is no such layer.

        """
        if not -self.cfg.n_layers <= layer < self.cfg.n_layers:
            raise ArgumentError(f"there is no layer {layer}: the network has {self.cfg.n_layers} layers.")
        return layer % self.cfg.n_layers


class ModelWeights(WeightSource):
    """The weights of a network in memory: the parameters themselves, detached.

    Args:
        model: the network.

    >>> model = HookedTransformer(dict(n_layers=2, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0))
    >>> source = ModelWeights(model)
    >>> source.layer(-1)["attn.W_Q"].shape, source.W_E.shape
    (torch.Size([2, 8, 4]), torch.Size([5, 8]))

    """

    def __init__(self, model: HookedTransformer) -> None:
        self._model = model

    @property
    def cfg(self) -> HookedTransformerConfig:
        """The architecture."""
        return self._model.cfg

    def ends(self) -> Mapping[str, Tensor]:
        """Return what belongs to no layer, by full name."""
        return {name: tensor for name, tensor in self._model.state_dict().items() if not name.startswith("blocks.")}

    def layer(self, layer: int) -> LayerWeights:
        """Return the weights of one layer; negative numbers count from the end."""
        number = self.number(layer)
        return LayerWeights(self.cfg, number, dict(self._model.blocks[number].state_dict()))

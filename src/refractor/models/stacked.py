"""Weights of all layers at once, under the names that notebooks use."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from refractor.base.errors import ArgumentError
from refractor.linalg import FactoredMatrix
from refractor.models.circuits import note_on_output, note_on_scores, shared_by_heads
from refractor.models.config import HookedTransformerConfig
from refractor.models.embed import LEARNED_POSITIONS

if TYPE_CHECKING:
    from refractor.models.block import Blocks
    from refractor.models.embed import Embed, PosEmbed, Unembed


class StackedWeights:
    """Properties that stack a parameter over layers. A stack is a copy, made on access, through which gradients flow.

    Shapes: `W_Q`, `W_K`, `W_V` [layer, head, d_model, d_head]; `W_O` [layer, head, d_head, d_model]; `b_Q`, `b_K`,
    `b_V` [layer, head, d_head]; `b_O`, `b_out` [layer, d_model]; `W_in` [layer, d_model, d_mlp]; `b_in`
    [layer, d_mlp]; `W_out` [layer, d_mlp, d_model]; `W_E` [d_vocab, d_model]; `W_pos` [n_ctx, d_model]; `W_U` [d_model,
    d_vocab_out]; `b_U` [d_vocab_out]. The last four are the parameters themselves.
    """

    cfg: HookedTransformerConfig
    blocks: "Blocks"
    embed: "Embed"
    pos_embed: "PosEmbed"
    unembed: "Unembed"

    def _stack(self, part: str, name: str) -> Tensor:
        modules = [dict(block.named_children()).get(part) for block in self.blocks]
        if any(module is None for module in modules):
            raise ArgumentError(f"an attention-only network has no {name}.")
        if any(name not in module.state_dict(keep_vars=True) for module in modules if module is not None):
            raise ArgumentError(f"the MLPs of this network have no {name}.")
        return torch.stack([module.get_parameter(name) for module in modules if module is not None])

    def _stack_of_heads(self, name: str) -> Tensor:
        return torch.stack([getattr(block.attn, name) for block in self.blocks])

    def _stack_of_kv_heads(self, name: str) -> Tensor:
        return torch.stack([block.attn.of_kv_heads(name) for block in self.blocks])

    @property
    def W_Q(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Query weights of all layers."""
        return self._stack("attn", "W_Q")

    @property
    def W_K(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Key weights of all layers."""
        return self._stack_of_heads("W_K")

    @property
    def W_V(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Value weights of all layers."""
        return self._stack_of_heads("W_V")

    @property
    def W_O(self) -> Float[Tensor, "layer head d_head d_model"]:
        """Output weights of all layers."""
        return self._stack("attn", "W_O")

    @property
    def OV(self) -> FactoredMatrix:
        """OV circuits of all heads, `W_V W_O`: what a head writes for what it reads, `[layer, head, d_model, d_model]`.

        The full circuits over the vocabulary are `model.W_E @ model.OV @ model.W_U`. No biases, no norms; heads that
        share values are not repeated inside. Where a norm follows what heads write, `note` says so. Source: Elhage et
        al. 2021.
        """
        values = shared_by_heads(self._stack_of_kv_heads("W_V"), self.cfg)
        return FactoredMatrix(values, self.W_O).with_note(note_on_output(self.cfg))

    @property
    def QK(self) -> FactoredMatrix:
        """QK circuits of all heads, `W_Q W_Kᵀ`: which key a query likes, `[layer, head, d_model, d_model]`.

        Without the division by `sqrt(d_head)` that scores have. No biases, no norms. Where scores are not this bilinear
        form of what heads read (queries and keys turn with the position or are normalised, scores are capped or have
        slopes), `note` says so. Source: Elhage et al. 2021.
        """
        keys = shared_by_heads(self._stack_of_kv_heads("W_K").mT, self.cfg)
        return FactoredMatrix(self.W_Q, keys).with_note(note_on_scores(self.cfg))

    @property
    def b_Q(self) -> Float[Tensor, "layer head d_head"]:
        """Query biases of all layers."""
        return self._stack("attn", "b_Q")

    @property
    def b_K(self) -> Float[Tensor, "layer head d_head"]:
        """Key biases of all layers."""
        return self._stack_of_heads("b_K")

    @property
    def b_V(self) -> Float[Tensor, "layer head d_head"]:
        """Value biases of all layers."""
        return self._stack_of_heads("b_V")

    @property
    def b_O(self) -> Float[Tensor, "layer d_model"]:
        """Output biases of all layers."""
        return self._stack("attn", "b_O")

    @property
    def W_in(self) -> Float[Tensor, "layer *expert d_model d_mlp"]:
        """Input weights of all MLPs."""
        return self._stack("mlp", "W_in")

    @property
    def b_in(self) -> Float[Tensor, "layer *expert d_mlp"]:
        """Neuron biases of all MLPs."""
        return self._stack("mlp", "b_in")

    @property
    def W_gate(self) -> Float[Tensor, "layer *expert d_model d_mlp"]:
        """Gate weights of all MLPs."""
        return self._stack("mlp", "W_gate")

    @property
    def W_out(self) -> Float[Tensor, "layer *expert d_mlp d_model"]:
        """Output weights of all MLPs."""
        return self._stack("mlp", "W_out")

    @property
    def b_out(self) -> Float[Tensor, "layer *expert d_model"]:
        """Output biases of all MLPs."""
        return self._stack("mlp", "b_out")

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """Token embedding: the parameter itself."""
        return self.embed.W_E

    @property
    def W_pos(self) -> Float[Tensor, "n_ctx d_model"]:
        """Learned positions: the parameter itself."""
        if self.cfg.positional_embedding_type not in LEARNED_POSITIONS:
            raise ArgumentError(
                f"a network with positional_embedding_type={self.cfg.positional_embedding_type!r} has no W_pos."
            )
        return self.pos_embed.W_pos

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab_out"]:
        """Unembedding: the parameter itself."""
        return self.unembed.W_U

    @property
    def b_U(self) -> Float[Tensor, " d_vocab_out"]:
        """Bias of the logits: the parameter itself."""
        return self.unembed.b_U

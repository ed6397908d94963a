"""`HookedTransformer`: the whole network, readable from tokens to logits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, overload

from torch import Tensor

from refractor.base.checks import check_member, check_tokens
from refractor.base.errors import ArgumentError, ShapeError
from refractor.hooks.point import HookPoint
from refractor.hooks.root import HookedRootModule
from refractor.models.block import STREAM, Blocks, TransformerBlock
from refractor.models.config import SWITCHES, HookedTransformerConfig
from refractor.models.embed import Embed, PosEmbed, Unembed, check_residual
from refractor.models.loss import Output, lm_cross_entropy_loss
from refractor.models.norms import make_norm
from refractor.models.parameters import draw_weights
from refractor.models.stacked import StackedWeights
from refractor.models.state import check_state

ReturnType = Literal["logits", "loss", "both"] | None


class HookedTransformer(StackedWeights, HookedRootModule):
    """A transformer with the parameter names, shapes and hook points that the field uses.

    `residual = W_E[tokens] + W_pos`, then the blocks, the final norm, and `logits = residual W_U + b_U`.

    Args:
        cfg: the architecture, or a mapping of its fields. The network keeps a copy of its own.

    >>> import torch
    >>> model = HookedTransformer(dict(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0))
    >>> logits, cache = model.run_with_cache(torch.tensor([[1, 2, 3]]))
    >>> logits.shape, cache["pattern", 0].shape
    (torch.Size([1, 3, 5]), torch.Size([1, 2, 3, 3]))

    """

    def __init__(self, cfg: HookedTransformerConfig | Mapping[str, Any]) -> None:
        super().__init__()
        self.cfg = replace(cfg) if isinstance(cfg, HookedTransformerConfig) else HookedTransformerConfig.from_dict(cfg)
        self.embed = Embed(self.cfg)
        self.hook_embed = HookPoint(STREAM)
        if self.cfg.positional_embedding_type == "standard":
            self.pos_embed = PosEmbed(self.cfg)
            self.hook_pos_embed = HookPoint(STREAM)
        self.hook_tokens = HookPoint(("batch", "pos"), shared=True, flag="use_hook_tokens")
        self.blocks = Blocks(TransformerBlock(self.cfg) for _ in range(self.cfg.n_layers))
        self.ln_final = make_norm(self.cfg)
        self.unembed = Unembed(self.cfg)
        self.setup()
        if self.cfg.init_weights:
            self.init_weights()

    @classmethod
    def from_pretrained(cls, model_name: str, **options: Any) -> "HookedTransformer":
        """Load a trained network by name or path: see `refractor.checkpoints.load`."""
        from refractor.checkpoints import load  # the one arrow upwards: what notebooks call stands here

        return load(model_name, **options)

    def init_weights(self) -> None:
        """Draw all weights anew, from the seed of the configuration."""
        draw_weights(self, self.cfg)

    def flag_is_set(self, flag: str) -> bool:
        """Whether `cfg` switches the optional hook points of this flag on."""
        check_member("flag", flag, SWITCHES)
        return bool(getattr(self.cfg, flag))

    # ---- the pass ------------------------------------------------------------------------------------------------

    @overload
    def __call__(
        self,
        input: Tensor,
        return_type: Literal["logits", "loss"] = ...,
        loss_per_token: bool = ...,
        *,
        start_at_layer: int | None = ...,
        stop_at_layer: int | None = ...,
        tokens: Tensor | None = ...,
    ) -> Tensor: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        return_type: Literal["both"],
        loss_per_token: bool = ...,
        *,
        start_at_layer: int | None = ...,
        tokens: Tensor | None = ...,
    ) -> Output: ...
    @overload
    def __call__(self, input: Tensor, return_type: None, **kwargs: Any) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run one pass: see `forward`."""
        return super().__call__(*args, **kwargs)

    def forward(
        self,
        input: Tensor,  # noqa: A002  the name that notebooks use
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        *,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        tokens: Tensor | None = None,
    ) -> Tensor | Output | None:
        """Run one pass.

        Args:
            input: tokens [batch, pos], or [pos] for a batch of one; with `start_at_layer`, a residual stream
                [batch, pos, d_model].
            return_type: "logits" [batch, pos, d_vocab_out], "loss" (mean next-token cross-entropy in nats), "both"
                (a named tuple of the two) or None.
            loss_per_token: give the losses [batch, pos - 1] instead of their mean.
            start_at_layer: first block to run, `input` being the stream before it; earlier blocks are not run.
            stop_at_layer: first block not to run (negative counts from the end); the stream before it is returned.
            tokens: the tokens, for the loss, when `input` is a residual stream.

        Returns:
            As `return_type` says; with `stop_at_layer`, the residual stream [batch, pos, d_model].

        Raises:
            ShapeError: `input` has the wrong axes or dtype.
            ArgumentError: a token is out of range, the sequence is longer than n_ctx, a layer does not exist, or a
                loss is asked for without tokens.

        """
        check_member("return_type", return_type, ("logits", "loss", "both", None))
        start, stop = self._layers(start_at_layer, stop_at_layer)
        if start_at_layer is None:
            tokens = self._checked_tokens(input)
            residual = self._embed(tokens)
        else:
            check_residual(input, self.cfg)
            residual = input
        for layer in range(start, stop):
            residual = self.blocks[layer](residual)
        if stop_at_layer is not None:
            return residual
        if return_type is None:
            return None
        logits = self.unembed(self.ln_final(residual))
        if return_type == "logits":
            return logits
        loss = self._loss(logits, tokens, loss_per_token)
        return loss if return_type == "loss" else Output(logits, loss)

    def _embed(self, tokens: Tensor) -> Tensor:
        if self.cfg.use_hook_tokens or self.hook_tokens.hooked:
            tokens = self.hook_tokens(tokens)
        embedded = self.hook_embed(self.embed(tokens))
        if self.cfg.positional_embedding_type is None:
            return embedded
        return embedded + self.hook_pos_embed(self.pos_embed(tokens))

    def _loss(self, logits: Tensor, tokens: Tensor | None, per_token: bool) -> Tensor:
        if tokens is None:
            raise ArgumentError("a loss needs tokens; with start_at_layer pass them as tokens=.")
        if self.cfg.d_vocab_out < self.cfg.d_vocab:
            raise ArgumentError(
                f"the next-token loss needs a logit for every token, but d_vocab_out={self.cfg.d_vocab_out} is below "
                f"d_vocab={self.cfg.d_vocab}: this network answers another question. Compute its loss from the logits."
            )
        if tokens.shape[1] < 2:
            raise ArgumentError("the next-token loss needs at least 2 positions; 1 came.")
        return lm_cross_entropy_loss(logits, tokens, per_token)

    def _checked_tokens(self, tokens: Tensor) -> Tensor:
        if not isinstance(tokens, Tensor):
            raise ShapeError(f"input must be a tensor of tokens [batch, pos]; {type(tokens).__name__} came.")
        if tokens.ndim == 1:
            tokens = tokens.unsqueeze(0)
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise ShapeError(f"tokens must have shape [batch, pos] with pos of at least 1; {list(tokens.shape)} came.")
        if tokens.shape[1] > self.cfg.n_ctx:
            raise ArgumentError(f"the sequence has {tokens.shape[1]} positions, but n_ctx={self.cfg.n_ctx}.")
        check_tokens("tokens", tokens, self.cfg.d_vocab)
        return tokens.long()

    def _layers(self, start: int | None, stop: int | None) -> tuple[int, int]:
        n_layers = self.cfg.n_layers
        first, last = 0 if start is None else start, n_layers if stop is None else stop
        first, last = (layer + n_layers if layer < 0 else layer for layer in (first, last))
        if not 0 <= first <= n_layers or not 0 <= last <= n_layers or first > last:
            raise ArgumentError(
                f"start_at_layer={start} and stop_at_layer={stop} do not fit a network of {n_layers} layers."
            )
        return first, last

    # ---- weights -------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights that fit exactly; the buffers `attn.mask` and `attn.IGNORE` of older tools are left out.

        Raises:
            CheckpointError: with `strict`, a tensor is missing, left over, or of another shape.

        """
        state = check_state(self, state_dict) if strict else state_dict
        return super().load_state_dict(state, strict=strict, assign=assign)

    def _apply(self, fn: Any, recurse: bool = True) -> "HookedTransformer":
        """Move or cast the parameters, and note in the configuration where they lie now."""
        super()._apply(fn, recurse)
        self.cfg.placed(self.embed.W_E.device, self.embed.W_E.dtype)
        return self

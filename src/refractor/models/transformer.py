"""`HookedTransformer`: the whole network, readable from tokens to logits."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, overload

from torch import Tensor, nn

from refractor.base.checks import check_known, check_member, check_tokens
from refractor.base.errors import ArgumentError, ShapeError
from refractor.hooks.point import HookPoint
from refractor.hooks.root import HookedRootModule
from refractor.models.block import Blocks, TransformerBlock
from refractor.models.config import HookedTransformerConfig
from refractor.models.config_checks import SWITCHES
from refractor.models.embed import LEARNED_POSITIONS, Embed, PosEmbed, Unembed, check_residual
from refractor.models.generation import GenerationMixin
from refractor.models.kv_cache import HookedTransformerKeyValueCache
from refractor.models.loss import Output, lm_cross_entropy_loss
from refractor.models.norms import STREAM, LayerNormPre, NoNorm, RMSNormPre, make_norm
from refractor.models.parameters import draw_weights
from refractor.models.provenance import Provenance
from refractor.models.rewrites import REWRITES, defaults, rewrite
from refractor.models.sequence import Sequence, make_sequence
from refractor.models.stacked import StackedWeights
from refractor.models.state import check_state, is_tied_in
from refractor.models.switches import Switches
from refractor.models.text import TextMixin

Input = str | list[str] | Tensor
"""Text, texts, tokens [batch, pos] or [pos], or a residual stream [batch, pos, d_model]."""

ReturnType = Literal["logits", "loss", "both"] | None


class HookedTransformer(StackedWeights, Switches, TextMixin, GenerationMixin, HookedRootModule):
    """A transformer with the parameter names, shapes and hook points that the field uses.

    `residual = W_E[tokens] + W_pos`, then the blocks, the final norm, and `logits = residual W_U + b_U`.

    Args:
        cfg: the architecture, or a mapping of its fields. The network keeps a copy of its own.
        tokenizer: what turns text into tokens: one of the `tokenizers` library, or a fast one of `transformers`.
        default_padding_side: where texts of different lengths are padded; as the tokenizer says when left out.

    >>> import torch
    >>> model = HookedTransformer(dict(n_layers=1, d_model=8, n_ctx=4, d_head=4, d_vocab=5, act_fn="relu", seed=0))
    >>> logits, cache = model.run_with_cache(torch.tensor([[1, 2, 3]]))
    >>> logits.shape, cache["pattern", 0].shape
    (torch.Size([1, 3, 5]), torch.Size([1, 2, 3, 3]))

    """

    def __init__(
        self,
        cfg: HookedTransformerConfig | Mapping[str, Any],
        tokenizer: Any = None,
        default_padding_side: Literal["left", "right"] | None = None,
    ) -> None:
        super().__init__()
        self.cfg = replace(cfg) if isinstance(cfg, HookedTransformerConfig) else HookedTransformerConfig.from_dict(cfg)
        self.embed = Embed(self.cfg)
        self.hook_embed = HookPoint(STREAM)
        if self.cfg.positional_embedding_type in LEARNED_POSITIONS:
            self.pos_embed = PosEmbed(self.cfg)
            self.hook_pos_embed = HookPoint(STREAM)
        self.hook_tokens = HookPoint(("batch", "pos"), shared=True, flag="use_hook_tokens")
        self.blocks = Blocks(TransformerBlock(self.cfg, layer) for layer in range(self.cfg.n_layers))
        self.ln_final = NoNorm() if self.cfg.norm_placement == "stream" else make_norm(self.cfg)
        self.unembed = Unembed(self.cfg)
        self.provenance = Provenance()
        self.setup()
        if tokenizer is not None:
            self.set_tokenizer(tokenizer, default_padding_side)
        if self.cfg.init_weights:
            self.init_weights()

    @classmethod
    def from_pretrained(cls, model_name: str, **options: Any) -> "HookedTransformer":
        """Load a trained network by name or path: see `refractor.checkpoints.load`."""
        from refractor.checkpoints import load  # the one arrow upwards: what notebooks call stands here

        return load(model_name, **options)

    @classmethod
    def from_pretrained_no_processing(cls, model_name: str, **options: Any) -> "HookedTransformer":
        """Load a trained network as it is, with none of the rewrites: see `from_pretrained`."""
        unsaid = [name for name in REWRITES if name not in options]
        return cls.from_pretrained(model_name, **dict.fromkeys(unsaid, False), **options)

    def process_weights_(self, **rewrites: bool) -> None:
        """Rewrite the weights in place, as `from_pretrained` does: see `models.rewrites`.

        Hooks stay; the norms that are folded lose their weights.

        Args:
            **rewrites: names of rewrites with True or False; what is left out is done where it is exact, as by default.

        Raises:
            ConfigError: a rewrite is asked for that is not exact for this architecture.
            UnknownNameError: there is no such rewrite.

        """
        for name in rewrites:
            check_known("rewrite", name, REWRITES)
        state = {name: tensor.detach() for name, tensor in self.state_dict().items()}
        cfg, done = rewrite(state, self.cfg, **{**defaults(self.cfg), **rewrites})
        self._adopt(cfg, state)
        self.provenance = self.provenance.rewritten(done)

    def load_and_process_state_dict(self, state_dict: Mapping[str, Any], **rewrites: bool) -> None:
        """Load weights that fit exactly, then rewrite them: see `load_state_dict` and `process_weights_`."""
        self.load_state_dict(state_dict)
        self.process_weights_(**rewrites)

    def _adopt(self, cfg: HookedTransformerConfig, state: Mapping[str, Tensor]) -> None:
        """Become a network of this architecture, which differs only in norms that lost their weights."""
        fresh = HookedTransformer({**cfg.to_dict(), "device": "meta", "init_weights": False})
        mine = dict(self.named_modules())
        for name, module in fresh.named_modules():
            if isinstance(module, LayerNormPre | RMSNormPre) and type(module) is not type(mine[name]):
                for point in ("hook_scale", "hook_normalized"):  # hooks that are attached stay
                    module.register_module(point, mine[name].get_submodule(point))
                parent, _, leaf = name.rpartition(".")
                self.get_submodule(parent).register_module(leaf, module)
        for module in self.modules():
            if "cfg" in vars(module):
                vars(module)["cfg"] = cfg
        self.setup()
        self.load_state_dict(state, assign=True)

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
        self, input: Input, return_type: Literal["logits", "loss"] = ..., loss_per_token: bool = ..., **options: Any
    ) -> Tensor: ...
    @overload
    def __call__(
        self, input: Input, return_type: Literal["both"], loss_per_token: bool = ..., **options: Any
    ) -> Output: ...
    @overload
    def __call__(self, input: Input, return_type: None, **options: Any) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run one pass: see `forward`."""
        return super().__call__(*args, **kwargs)

    def forward(
        self,
        input: Input,  # noqa: A002  the name that notebooks use
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] | None = None,
        start_at_layer: int | None = None,
        tokens: Tensor | None = None,
        shortformer_pos_embed: Tensor | None = None,
        attention_mask: Tensor | None = None,
        stop_at_layer: int | None = None,
        past_kv_cache: HookedTransformerKeyValueCache | None = None,
    ) -> Tensor | Output | None:
        """Run one pass.

        Args:
            input: text, or a list of texts (padded to one length and masked, which changes nothing in any row); tokens
                [batch, pos], or [pos] for a batch of one; with `start_at_layer`, a residual stream [batch, pos,
                d_model].
            return_type: "logits" [batch, pos, d_vocab_out], "loss" (mean next-token cross-entropy in nats), "both"
                (a named tuple of the two) or None.
            loss_per_token: give the losses [batch, pos - 1] instead of their mean; 0 where the next token is padding.
            prepend_bos: for text: put the beginning-of-sequence token first; `cfg.default_prepend_bos` when left out.
            padding_side: for texts of different lengths: where the padding goes.
            start_at_layer: first block to run, `input` being the stream before it; earlier blocks are not run.
            tokens: the tokens, for the loss, when `input` is a residual stream.
            shortformer_pos_embed: with `start_at_layer`, the positions that queries and keys of a shortformer read.
            attention_mask: 1 where a token is real and 0 where it is padding, [batch, pos]; with `past_kv_cache`, of
                the tokens of this pass or of all. Positions count real tokens. All are real when left out.
            stop_at_layer: first block not to run (negative counts from the end); the stream before it is returned.
            past_kv_cache: keys and values of earlier positions; `input` goes on from there, and is added to it.

        Returns:
            As `return_type` says; with `stop_at_layer`, the residual stream [batch, pos, d_model].

        Raises:
            ShapeError: `input` or a mask has the wrong axes or dtype.
            ArgumentError: a token is out of range, the sequence is longer than n_ctx, a layer does not exist or has to
                be run for `past_kv_cache`, a loss is asked for without tokens, or text is given to a network without a
                tokenizer.

        """
        check_member("return_type", return_type, ("logits", "loss", "both", None))
        start, stop = self._layers(start_at_layer, stop_at_layer, past_kv_cache)
        if start_at_layer is None:
            tokens, text_mask = self._checked_tokens(input, prepend_bos, padding_side)
            attention_mask = text_mask if attention_mask is None else attention_mask
            sequence = self._sequence(tokens, attention_mask, past_kv_cache)
            residual, positions = self._embed(tokens, sequence)
        else:
            residual, positions = check_residual(input, self.cfg), shortformer_pos_embed
            positions = self._checked_positions(positions, stop - start)
            sequence = self._sequence(residual[..., 0], attention_mask, past_kv_cache)
        for layer in range(start, stop):
            residual = self.blocks[layer](residual, sequence, past_kv_cache, positions)
        stopped = stop_at_layer is not None
        result = residual if stopped else self._result(residual, tokens, sequence, return_type, loss_per_token)
        if past_kv_cache is not None and not past_kv_cache.foresees(residual):
            past_kv_cache.advance(residual.shape[1], sequence.real)  # last of all: a pass that fails counts for nothing
        return result

    def _result(
        self, residual: Tensor, tokens: Tensor | None, sequence: Sequence, return_type: ReturnType, per_token: bool
    ) -> Tensor | Output | None:
        """Return what a pass that went through all layers gives."""
        if return_type is None:
            return None
        logits = self.unembed(self.ln_final(residual))
        if return_type == "logits":
            return logits
        mask = None if sequence.real is None else sequence.real[:, -residual.shape[1] :]
        loss = self._loss(logits, tokens, mask, per_token)
        return loss if return_type == "loss" else Output(logits, loss)

    def _embed(self, tokens: Tensor, sequence: Sequence) -> tuple[Tensor, Tensor | None]:
        """Return the residual stream before the first block, and the positions that a shortformer's heads read."""
        if self.cfg.use_hook_tokens or self.hook_tokens.hooked:
            tokens = self.hook_tokens(tokens)
        embedded = self.hook_embed(self.embed(tokens))
        if self.cfg.positional_embedding_type not in LEARNED_POSITIONS:
            return embedded, None
        positions = self.hook_pos_embed(self.pos_embed(tokens, sequence))
        if self.cfg.positional_embedding_type == "shortformer":
            return embedded, positions
        return embedded + positions, None

    def _sequence(self, tokens: Tensor, mask: Tensor | None, past: HookedTransformerKeyValueCache | None) -> Sequence:
        """Return where the tokens [batch, pos] stand."""
        batch, n_pos = tokens.shape
        if past is not None:
            past.check(batch, n_pos)
            wanted = (self.cfg.n_layers, self.cfg.n_kv_heads, self.cfg.d_head, self.cfg.torch_dtype)
            came = (past.cfg.n_layers, past.cfg.n_kv_heads, past.cfg.d_head, past.dtype)
            if wanted != came:
                raise ArgumentError(
                    "past_kv_cache is of another network or dtype: layers, key/value heads, d_head and dtype are "
                    f"{', '.join(map(str, came))} and must be {', '.join(map(str, wanted))}. Begin a new one."
                )
        n_past = 0 if past is None else past.length
        return make_sequence(self.cfg, tokens.shape, tokens.device, mask, n_past, None if past is None else past.real)

    def _loss(self, logits: Tensor, tokens: Tensor | None, mask: Tensor | None, per_token: bool) -> Tensor:
        if tokens is None:
            raise ArgumentError("a loss needs tokens; with start_at_layer pass them as tokens=.")
        if self.cfg.d_vocab_out < self.cfg.d_vocab:
            raise ArgumentError(
                f"the next-token loss needs a logit for every token, but d_vocab_out={self.cfg.d_vocab_out} is below "
                f"d_vocab={self.cfg.d_vocab}: this network answers another question. Compute its loss from the logits."
            )
        if tokens.shape[1] < 2:
            raise ArgumentError("the next-token loss needs at least 2 positions; 1 came.")
        return lm_cross_entropy_loss(logits, tokens, mask, per_token)

    def _checked_positions(self, positions: Tensor | None, n_layers: int) -> Tensor | None:
        """Return what queries and keys of a shortformer read besides the stream, None for all others."""
        kind = self.cfg.positional_embedding_type
        if kind == "shortformer" and positions is None and n_layers:
            raise ArgumentError(
                "start_at_layer in a shortformer needs shortformer_pos_embed: what queries and keys of every layer "
                "read besides the stream, cache['pos_embed']."
            )
        if kind != "shortformer" and positions is not None:
            raise ArgumentError(
                f"shortformer_pos_embed needs positional_embedding_type='shortformer'; this network has {kind!r}."
            )
        return positions

    def _checked_tokens(
        self, given: Input, prepend_bos: bool | None, padding_side: Literal["left", "right"] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return tokens [batch, pos], and for texts of different lengths which of them are no padding."""
        tokens, mask = (given, None) if isinstance(given, Tensor) else self.text_input(given, prepend_bos, padding_side)
        if tokens.ndim == 1:
            tokens = tokens.unsqueeze(0)
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise ShapeError(f"tokens must have shape [batch, pos] with pos of at least 1; {list(tokens.shape)} came.")
        if tokens.shape[1] > self.cfg.n_ctx:
            raise ArgumentError(f"the sequence has {tokens.shape[1]} positions, but n_ctx={self.cfg.n_ctx}.")
        check_tokens("tokens", tokens, self.cfg.d_vocab)
        return tokens.long(), mask

    def _layers(
        self, start: int | None, stop: int | None, past: HookedTransformerKeyValueCache | None
    ) -> tuple[int, int]:
        n_layers = self.cfg.n_layers
        first, last = 0 if start is None else start, n_layers if stop is None else stop
        first, last = (layer + n_layers if layer < 0 else layer for layer in (first, last))
        if not 0 <= first <= n_layers or not 0 <= last <= n_layers or first > last:
            raise ArgumentError(
                f"start_at_layer={start} and stop_at_layer={stop} do not fit a network of {n_layers} layers."
            )
        if past is not None and (first, last) != (0, n_layers):
            raise ArgumentError(
                f"past_kv_cache needs a pass through all {n_layers} layers, for it holds keys and values of each; "
                f"start_at_layer={start} and stop_at_layer={stop} came. Run these layers without it, on the whole text."
            )
        return first, last

    # ---- weights -------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights that fit exactly; the buffers of older tools (masks, tables of rotary positions) are left out.

        A tied network stays tied when the `W_U` that comes is the transpose of `W_E`; otherwise it is tied no more.

        Raises:
            CheckpointError: with `strict`, a tensor is missing, left over, or of another shape.

        """
        state = check_state(self, state_dict) if strict else state_dict
        if self.is_tied and not assign and not is_tied_in(state):
            self.unembed.W_U.data = self.unembed.W_U.data.clone()
        return super().load_state_dict(state, strict=strict, assign=assign)

    def untie(self) -> None:
        """Give `W_U` memory of its own. Do so before training: an optimiser would move what is tied twice."""
        if self.is_tied:
            self.unembed.W_U.data = self.unembed.W_U.data.clone()

    @property
    def is_tied(self) -> bool:
        """Whether `W_U` is the transpose of `W_E` in the same memory, as many models are trained; see `untie`."""
        W_E, W_U = self.embed.W_E, self.unembed.W_U
        same_memory = not W_E.is_meta and W_E.data_ptr() == W_U.data_ptr()
        return same_memory and W_U.shape == W_E.T.shape and W_U.stride() == W_E.T.stride()

    def __deepcopy__(self, memo: dict[int, Any]) -> "HookedTransformer":
        """Copy the network with its weights and hooks; a tied one stays tied."""
        if self.is_tied:  # parameters are copied one by one, so what they share is said first
            W_E, W_U = copy.deepcopy(self.embed.W_E, memo), self.unembed.W_U
            memo[id(W_U)] = nn.Parameter(W_E.data.T, requires_grad=W_U.requires_grad)
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__setstate__(copy.deepcopy(vars(self), memo))
        return new

    def _apply(self, fn: Any, recurse: bool = True) -> "HookedTransformer":
        """Move or cast the parameters, and note in the configuration where they lie now."""
        tied = self.is_tied
        super()._apply(fn, recurse)
        if tied and not self.is_tied:
            self.unembed.W_U.data = self.embed.W_E.data.T
        self.cfg.placed(self.embed.W_E.device, self.embed.W_E.dtype)
        return self

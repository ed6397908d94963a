"""Generation, step by step: a prompt and what is wanted, one new token for every row, and the text that it makes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from refractor.base.checks import check_int, check_tokens
from refractor.base.errors import ArgumentError, ShapeError
from refractor.models.config import HookedTransformerConfig
from refractor.models.kv_cache import HookedTransformerKeyValueCache
from refractor.models.sampling import Sampling, check_drawn, draw_tokens
from refractor.models.tokenizer import Tokenizer

BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet a whole one."""

BYTE = re.compile("<0x[0-9A-Fa-f]{2}>")
"""How SentencePiece vocabularies write a token that is a single byte."""


@runtime_checkable
class LanguageModel(Protocol):
    """What generation needs of a network."""

    @property
    def cfg(self) -> HookedTransformerConfig:
        """Its architecture."""
        ...

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Its tokenizer, if it has one."""
        ...

    @property
    def ln_final(self) -> Any:
        """The norm before the unembedding."""
        ...

    @property
    def unembed(self) -> Any:
        """From the residual stream to logits."""
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run one pass."""
        ...

    def text_input(self, input: Any, prepend_bos: bool | None, padding_side: Any) -> Any:  # noqa: A002
        """Return tokens and mask of texts."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is to be generated, checked.

    Args:
        prompt: tokens, aligned to the right end, so that the newest one stands last in every row.
        real: which of them are no padding; None when all are.
        max_new_tokens: steps at most.
        stops: tokens that end a row; what follows in it is filled up with the first of them.
        sampling: how a token is chosen.
        generator: where random numbers come from.
        use_past_kv_cache: keep keys and values, so that each step reads one token.
        bos: a token that is not part of the text where it comes first; None where nothing is taken off.

    """

    prompt: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"] | None
    max_new_tokens: int
    stops: tuple[int, ...]
    sampling: Sampling
    generator: torch.Generator | None
    use_past_kv_cache: bool
    bos: int | None

    def prompt_of(self, row: int) -> list[int]:
        """Return the tokens of a row's prompt that are text: without padding, and without the BOS at its beginning."""
        kept = self.prompt[row] if self.real is None else self.prompt[row][self.real[row]]
        tokens = kept.tolist()
        return tokens[1:] if self.bos is not None and tokens[:1] == [self.bos] else tokens


@dataclass(frozen=True, eq=False)
class Step:
    """One new token for every row.

    Args:
        tokens: of all rows; those of rows that ended earlier are filled up.
        logits: from which they were chosen; of no meaning in rows that ended earlier.
        ended: rows that ended earlier.
        going_on: the token with which the text of each row goes on; None if the row ended, with this token or earlier.
        is_last: whether generation is over.

    """

    tokens: Int[Tensor, " batch"]
    logits: Float[Tensor, "batch d_vocab"]
    ended: Bool[Tensor, " batch"]
    going_on: list[int | None]
    is_last: bool


# ---- what is wanted --------------------------------------------------------------------------------------------------


def check_can_generate(cfg: HookedTransformerConfig, n_prompt: int, max_new_tokens: object) -> int:
    """Return `max_new_tokens` if a network can write so many tokens after a prompt.

    Args:
        cfg: its architecture.
        n_prompt: positions of the prompt.
        max_new_tokens: tokens to write.

    Raises:
        ArgumentError: the number is no positive integer, the context is too short, or this is no language model.

    """
    new = check_int("max_new_tokens", max_new_tokens, least=1)
    if cfg.attention_dir != "causal":
        raise ArgumentError(
            f"generate needs attention_dir='causal'; this network is {cfg.attention_dir!r}: its tokens read those "
            "after them, so it cannot write from left to right."
        )
    if cfg.d_vocab_out != cfg.d_vocab:
        raise ArgumentError(
            f"generate feeds what it draws back in, so it needs a logit for every input token; d_vocab={cfg.d_vocab} "
            f"and d_vocab_out={cfg.d_vocab_out}: this network answers another question. Read it from the logits."
        )
    room = cfg.n_ctx - n_prompt
    if new > room:
        hint = f"Pass max_new_tokens={room} or less, or shorten the prompt." if room > 0 else "Shorten the prompt."
        raise ArgumentError(
            f"the prompt has {n_prompt} positions and max_new_tokens={new} would make it {n_prompt + new}, but "
            f"n_ctx={cfg.n_ctx}. {hint}"
        )
    return new


def read_prompt(
    model: LanguageModel,
    given: object,
    prepend_bos: bool | None,
    attention_mask: Shaped[Tensor, "batch pos"] | None,
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"] | None]:
    """Return the tokens of a prompt, aligned to the right end, and which are real (None when all are).

    Args:
        model: the network; it has the tokenizer.
        given: a text, a list of texts, or tokens [batch, pos] or [pos].
        prepend_bos: for text.
        attention_mask: 1 where a token is real; for tokens.

    Raises:
        ArgumentError: a mask comes with text, a row of it is empty, a token is out of range, or text cannot be read.
        ShapeError: tokens or mask have the wrong axes or dtype.

    """
    if not isinstance(given, Tensor):
        if attention_mask is not None:
            raise ArgumentError("attention_mask belongs to tokens; a text knows its own. Leave it out.")
        return model.text_input(given, prepend_bos, "left")
    tokens = given.unsqueeze(0) if given.ndim == 1 else given
    if tokens.ndim != 2 or tokens.numel() == 0:
        raise ShapeError(
            f"a prompt of tokens must have shape [batch, pos], both of at least 1; {list(given.shape)} came."
        )
    check_tokens("tokens", tokens, model.cfg.d_vocab)
    tokens = tokens.long().to(model.cfg.device)
    if attention_mask is None:
        return tokens, None
    if attention_mask.shape != tokens.shape:
        raise ShapeError(
            f"attention_mask must have the shape of tokens, {list(tokens.shape)}; {list(attention_mask.shape)} came."
        )
    if bool(((attention_mask != 0) & (attention_mask != 1)).any()):
        raise ArgumentError(
            "attention_mask must be 1 where a token is real and 0 where it is padding; other values came."
        )
    return aligned(tokens, attention_mask.to(device=tokens.device, dtype=torch.bool))


def aligned(
    tokens: Int[Tensor, "batch pos"], real: Bool[Tensor, "batch pos"]
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"] | None]:
    """Return tokens and mask with the padding of every row at its left; the real tokens keep their order.

    Raises:
        ArgumentError: a row has no real token.

    >>> aligned(torch.tensor([[5, 6, 0], [7, 8, 9]]), torch.tensor([[True, True, False], [True, True, True]]))[0]
    tensor([[0, 5, 6],
            [7, 8, 9]])

    """
    if bool(real.all()):
        return tokens, None
    empty = (~real.any(1)).nonzero()
    if len(empty):
        raise ArgumentError(
            f"row {int(empty[0])} of attention_mask has no real token; a prompt needs at least one (a BOS will do)."
        )
    order = real.to(torch.uint8).argsort(dim=1, stable=True)
    return tokens.gather(1, order), real.gather(1, order)


def stop_tokens(model: LanguageModel, stop_at_eos: bool, eos_token_id: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the tokens that end a row: those given, else the EOS of the tokenizer, else none.

    Raises:
        ArgumentError: one is no token of the network.

    """
    if not stop_at_eos:
        return ()
    if eos_token_id is None:
        known = None if model.tokenizer is None else model.tokenizer.eos_token_id
        return () if known is None else (known,)
    listed = list(eos_token_id) if isinstance(eos_token_id, Sequence) else [eos_token_id]
    if not listed:
        raise ArgumentError("eos_token_id is an empty list: say stop_at_eos=False, or leave it out.")
    return tuple(check_int("eos_token_id", token, least=0, most=model.cfg.d_vocab - 1) for token in listed)


# ---- the steps -------------------------------------------------------------------------------------------------------


def steps(model: LanguageModel, plan: Plan) -> Iterator[Step]:
    """Yield one token for every row at a time, until all rows ended or `max_new_tokens` are made.

    Each step is one pass of the network, so that its hooks fire; memory is given back when the iterator is closed.
    Gradients are off inside a step only, not between two of them.

    Args:
        model: the network.
        plan: what is wanted.

    Raises:
        ArgumentError: the logits of a row that goes on are NaN or infinite.

    """
    batch, n_prompt = plan.prompt.shape
    new = plan.max_new_tokens
    # Written column by column: no step copies what was there before.
    tokens = torch.cat([plan.prompt, plan.prompt.new_zeros(batch, new)], dim=1)
    real = None if plan.real is None else torch.cat([plan.real, plan.real.new_ones(batch, new)], dim=1)
    cache = HookedTransformerKeyValueCache(model.cfg, batch) if plan.use_past_kv_cache else None
    stops = tokens.new_tensor(plan.stops)
    over = before = tokens.new_zeros(batch, dtype=torch.bool)
    for end in range(n_prompt, n_prompt + new):
        start = end - 1 if cache is not None and cache.length else 0
        mask = None if real is None else real[:, :end]
        with torch.no_grad():
            logits = newest_logits(model, tokens[:, start:end], mask, cache)
            drawn = draw_tokens(logits, plan.sampling, tokens[:, :end], mask, plan.generator)
            if plan.stops:
                drawn = torch.where(over, stops[0], drawn)
                before, over = over, over | torch.isin(drawn, stops)
            tokens[:, end] = drawn
        listed = drawn.tolist()  # the one place where a step waits for the device
        check_drawn(listed, f" after {end} positions")
        going_on = [None if token in plan.stops else token for token in listed]  # rows that ended are full of these
        is_last = end + 1 == n_prompt + new or all(token is None for token in going_on)
        yield Step(drawn, logits, before, going_on, is_last)
        if is_last:
            return


def newest_logits(
    model: LanguageModel,
    tokens: Int[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch key_pos"] | None,
    cache: HookedTransformerKeyValueCache | None,
) -> Float[Tensor, "batch d_vocab_out"]:
    """Return the logits after the last token of every row; the final norm and the unembedding see no other position.

    Args:
        model: the network.
        tokens: to read.
        mask: which tokens, those in the cache included, are real; None when all are.
        cache: keys and values of the tokens before, to which those of these are added.

    """
    stream = model(tokens, attention_mask=mask, stop_at_layer=model.cfg.n_layers, past_kv_cache=cache)
    return model.unembed(model.ln_final(stream[:, -1:]))[:, 0]


# ---- the text --------------------------------------------------------------------------------------------------------


class TextStream:
    """The text of one row, piece by piece: `start` and the pieces, joined, are the text of all its tokens.

    A piece is held back while the last character is incomplete: its bytes may be spread over several tokens. Only the
    tokens of the last piece are decoded again with the new ones (they decide about spaces), so a step costs the same
    however long the text is.

    Args:
        tokenizer: of the network.
        prompt: the tokens before, without padding and BOS.

    """

    def __init__(self, tokenizer: Tokenizer, prompt: list[int]) -> None:
        self._tokenizer = tokenizer
        self._before = prompt
        self._new: list[int] = []
        self._told = self._decode(prompt).rstrip(BROKEN)
        self.start = self._told

    def push(self, token: int) -> str:
        """Return the text that one more token adds, "" while a character is incomplete."""
        self._new.append(token)
        if self._tokenizer.has(token) and BYTE.fullmatch(self._tokenizer.convert_ids_to_tokens(token)):
            return ""  # bytes are read as characters when the run of them is over
        text = self._decode(self._before + self._new)
        return "" if text.endswith(BROKEN) else self._tell(text)

    def finish(self) -> str:
        """Return what is still held back, as far as it can be read."""
        return self._tell(self._decode(self._before + self._new))

    def _tell(self, text: str) -> str:
        # A run of bytes that turns out to be no text changes how its beginning reads, which was told already.
        grows = text.startswith(self._told)
        piece = text[len(self._told) :] if grows else self._decode(self._new)
        if self._new:
            self._before, self._new = self._new, []
            self._told = self._decode(self._before)
        else:
            self._told = text
        return piece

    def _decode(self, tokens: list[int]) -> str:
        """Return the text of tokens; those that the tokenizer has not (`d_vocab` is rounded up) read "<unused 7>"."""
        parts, start = [], 0
        for place, token in enumerate(tokens):
            if not self._tokenizer.has(token):
                parts += [self._tokenizer.decode(tokens[start:place]), f"<unused {token}>"]
                start = place + 1
        return "".join([*parts, self._tokenizer.decode(tokens[start:])])

"""`GenerationMixin`: a network writes on, from text or tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack, overload

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from refractor.base.checks import check_member
from refractor.base.errors import ArgumentError
from refractor.models.generation_steps import (
    LanguageModel,
    Plan,
    Step,
    TextStream,
    check_can_generate,
    read_prompt,
    steps,
    stop_tokens,
)
from refractor.models.sampling import Sampling
from refractor.models.tokenizer import SIDES, Side

Prompt = str | Sequence[str] | Tensor
"""A text, several, or tokens [batch, pos] or [pos]."""

Written = str | list[str] | Tensor
"""A text, one for every row, or tokens [batch, pos]."""

RETURN_TYPES = ("input", "tokens", "str")


@dataclass(frozen=True, eq=False)
class Generated:
    """What `generate(output_logits=True)` gives.

    Args:
        sequences: what it gives otherwise; None with `return_type=None`.
        logits: from which each new token was chosen, before penalties, temperature and truncation; NaN where a row had
            ended.

    """

    sequences: Written | None
    logits: Float[Tensor, "batch pos d_vocab"]


class Options(TypedDict, total=False):
    """The keywords of `generate` that leave the type of its result alone, for type checkers."""

    stop_at_eos: bool
    eos_token_id: int | Sequence[int] | None
    do_sample: bool
    top_k: int | None
    top_p: float | None
    temperature: float
    freq_penalty: float
    use_past_kv_cache: bool
    prepend_bos: bool | None
    padding_side: Side | None
    verbose: bool
    repetition_penalty: float
    generator: torch.Generator | None
    attention_mask: Tensor | None


class GenerationMixin:
    """What a causal network with `cfg`, `tokenizer`, `ln_final` and `unembed` can write."""

    @overload
    def generate(
        self: LanguageModel,
        input: str = ...,
        max_new_tokens: int = ...,
        *,
        return_type: Literal["input", "str"] = ...,
        output_logits: Literal[False] = ...,
        **options: Unpack[Options],
    ) -> str: ...
    @overload
    def generate(
        self: LanguageModel,
        input: Tensor,
        max_new_tokens: int = ...,
        *,
        return_type: Literal["input", "tokens"] = ...,
        output_logits: Literal[False] = ...,
        **options: Unpack[Options],
    ) -> Tensor: ...
    @overload
    def generate(
        self: LanguageModel,
        input: str | Sequence[str],
        max_new_tokens: int = ...,
        *,
        return_type: Literal["tokens"],
        output_logits: Literal[False] = ...,
        **options: Unpack[Options],
    ) -> Tensor: ...
    @overload
    def generate(
        self: LanguageModel,
        input: Sequence[str],
        max_new_tokens: int = ...,
        *,
        return_type: Literal["input", "str"] = ...,
        output_logits: Literal[False] = ...,
        **options: Unpack[Options],
    ) -> list[str]: ...
    @overload
    def generate(
        self: LanguageModel,
        input: Prompt = ...,
        max_new_tokens: int = ...,
        *,
        output_logits: Literal[True],
        **options: Unpack[Options],
    ) -> Generated: ...
    @overload
    def generate(
        self: LanguageModel, input: Prompt = ..., max_new_tokens: int = ..., *args: Any, **options: Any
    ) -> Any: ...
    def generate(
        self: LanguageModel,
        input: Prompt = "",  # noqa: A002  the name that notebooks use
        max_new_tokens: int = 10,
        stop_at_eos: bool = True,
        eos_token_id: int | Sequence[int] | None = None,
        do_sample: bool = True,
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float = 1.0,
        freq_penalty: float = 0.0,
        use_past_kv_cache: bool = True,
        prepend_bos: bool | None = None,
        padding_side: Side | None = None,
        return_type: Literal["input", "tokens", "str"] | None = "input",
        verbose: bool = True,
        output_logits: bool = False,
        *,
        repetition_penalty: float = 1.0,
        generator: torch.Generator | None = None,
        attention_mask: Shaped[Tensor, "batch pos"] | None = None,
    ) -> Written | Generated | None:
        """Write on: choose a token from the logits, add it, and read on, `max_new_tokens` times.

        Every row of a batch is written as it would be alone: prompts of different lengths are padded on the left, and
        positions count real tokens. With and without the cache the tokens are the same.

        Hooks of the network fire at each step. With the cache, what they see has all positions of the prompt at the
        first step and one position, the newest, at each later one; without it, all positions so far. The points of
        `ln_final` see the newest position only, in either case. Gradients are off.

        Args:
            input: a text, a list of texts, or tokens [batch, pos] ([pos] for a batch of one).
            max_new_tokens: steps at most; the prompt and so many tokens must fit into `cfg.n_ctx`.
            stop_at_eos: end a row at a token of `eos_token_id`; what follows in it is filled up with the first of them.
                Generation is over when all rows ended.
            eos_token_id: the token, or tokens, that end a row; the tokenizer's EOS when left out. A network without
                either goes on to the last step.
            do_sample: draw tokens; False takes the most probable.
            top_k: draw from the k most probable.
            top_p: draw from the most probable whose mass is at least p.
            temperature: below 1 sharper, above 1 flatter, 0 the most probable. `Sampling` has the formulas.
            freq_penalty: taken off a logit for every time its token was seen, the prompt included.
            use_past_kv_cache: keep keys and values, so that a step reads one token; False reads all again.
            prepend_bos: for text: put the beginning-of-sequence token first; `cfg.default_prepend_bos` when left out.
            padding_side: of no consequence, since padding always goes to the left here.
            return_type: "tokens" [batch, pos + new], prompt included; "str", the text of all tokens without BOS,
                padding and the token that ended the row; "input", the kind that came; None for nothing.
            verbose: of no consequence: nothing is shown. `generate_stream` shows a text while it is written.
            output_logits: give the logits too.
            repetition_penalty: logits of tokens seen before are divided by it (multiplied where negative).
            generator: where random numbers come from, on any device; torch's global one when left out.
            attention_mask: for tokens: 1 where one is real and 0 where it is padding, on either side, [batch, pos].
                Tokens come back with the padding on the left. Without it all are real, pad tokens too.

        Returns:
            As `return_type` says: for one text (or tokens [pos], as "str") a string, for several a list; with
            `output_logits`, a `Generated`.

        Raises:
            ArgumentError: the prompt is empty or too long for `max_new_tokens`, an argument is out of range, text or
                "str" is asked of a network without a tokenizer, the network is not causal or has no logit for every
                input token, or logits are NaN.
            ShapeError: tokens or mask have the wrong axes or dtype.

        >>> from refractor.models import HookedTransformer
        >>> model = HookedTransformer(dict(n_layers=1, d_model=8, n_ctx=9, d_head=4, d_vocab=5, act_fn="relu", seed=0))
        >>> model.generate(torch.tensor([[1, 2, 3]]), 4, temperature=0).shape
        torch.Size([1, 7])

        """
        check_member("return_type", return_type, (*RETURN_TYPES, None))
        plan = make_plan(
            self,
            input,
            max_new_tokens,
            eos=(stop_at_eos, eos_token_id),
            sampling=Sampling(
                do_sample=do_sample,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                freq_penalty=freq_penalty,
                repetition_penalty=repetition_penalty,
            ),
            generator=generator,
            use_past_kv_cache=use_past_kv_cache,
            prepend_bos=prepend_bos,
            padding_side=padding_side,
            attention_mask=attention_mask,
        )
        return write(self, plan, input, return_type, output_logits)

    def generate_stream(
        self: LanguageModel,
        input: Prompt = "",  # noqa: A002  as generate has it
        max_new_tokens: int = 10,
        stop_at_eos: bool = True,
        eos_token_id: int | Sequence[int] | None = None,
        do_sample: bool = True,
        top_k: int | None = None,
        top_p: float | None = None,
        temperature: float = 1.0,
        freq_penalty: float = 0.0,
        use_past_kv_cache: bool = True,
        prepend_bos: bool | None = None,
        padding_side: Side | None = None,
        return_type: Literal["input", "tokens", "str"] = "input",
        *,
        repetition_penalty: float = 1.0,
        generator: torch.Generator | None = None,
        attention_mask: Shaped[Tensor, "batch pos"] | None = None,
    ) -> Iterator[Any]:
        """Write on as `generate` does, and yield what each step adds as soon as it is known.

        Arguments are checked by the call. A loop may be left at any time: the cache goes with the iterator, and hooks
        are those of the caller (`with model.hooks(...)` around the loop; gradients are on between the steps).

        Args:
            input: as in `generate`, as is what follows.
            max_new_tokens: steps at most.
            stop_at_eos: end a row at a token of `eos_token_id`.
            eos_token_id: the token, or tokens, that end a row.
            do_sample: draw tokens; False takes the most probable.
            top_k: draw from the k most probable.
            top_p: draw from the most probable whose mass is at least p.
            temperature: sharpness.
            freq_penalty: per time seen.
            use_past_kv_cache: keep keys and values.
            prepend_bos: for text.
            padding_side: of no consequence.
            return_type: "tokens" yields the new token of every row, [batch]; "str" pieces of text, which joined behind
                the text of the prompt are what `generate` gives ("" while a character is incomplete or when a row has
                ended; a list of pieces for several rows); "input", the kind that came.
            repetition_penalty: for tokens seen before.
            generator: where random numbers come from.
            attention_mask: for tokens.

        Returns:
            An iterator with one item for each step.

        Raises:
            ArgumentError: as for `generate`.
            ShapeError: as for `generate`.

        """
        check_member("return_type", return_type, RETURN_TYPES)
        plan = make_plan(
            self,
            input,
            max_new_tokens,
            eos=(stop_at_eos, eos_token_id),
            sampling=Sampling(
                do_sample=do_sample,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                freq_penalty=freq_penalty,
                repetition_penalty=repetition_penalty,
            ),
            generator=generator,
            use_past_kv_cache=use_past_kv_cache,
            prepend_bos=prepend_bos,
            padding_side=padding_side,
            attention_mask=attention_mask,
        )
        if not _wants_text(input, return_type):
            return (step.tokens for step in steps(self, plan))
        texts, one = _text_streams(self, plan), _is_one(input)
        return (pieces[0] if one else pieces for pieces in (_pieces(texts, step) for step in steps(self, plan)))


def make_plan(
    model: LanguageModel,
    given: Prompt,
    max_new_tokens: int,
    *,
    eos: tuple[bool, int | Sequence[int] | None],
    sampling: Sampling,
    generator: torch.Generator | None,
    use_past_kv_cache: bool,
    prepend_bos: bool | None,
    padding_side: Side | None,
    attention_mask: Tensor | None,
) -> Plan:
    """Return what is to be generated, checked; arguments are those of `generate`, the two of the EOS together.

    Raises:
        ArgumentError: as for `generate`.
        ShapeError: as for `generate`.

    """
    check_member("padding_side", padding_side, (*SIDES, None))
    prompt, real = read_prompt(model, given, prepend_bos, attention_mask)
    bos = None if model.tokenizer is None else model.tokenizer.bos_token_id
    if not isinstance(given, Tensor) and not (model.cfg.default_prepend_bos if prepend_bos is None else prepend_bos):
        bos = None  # the first token is the text's own
    return Plan(
        prompt=prompt,
        real=real,
        max_new_tokens=check_can_generate(model.cfg, prompt.shape[1], max_new_tokens),
        stops=stop_tokens(model, *eos),
        sampling=sampling,
        generator=generator,
        use_past_kv_cache=use_past_kv_cache,
        bos=bos,
    )


def write(
    model: LanguageModel,
    plan: Plan,
    given: Prompt,
    return_type: Literal["input", "tokens", "str"] | None,
    output_logits: bool,
) -> Written | Generated | None:
    """Carry out a plan and return what `generate` returns.

    Args:
        model: the network.
        plan: what is wanted.
        given: the prompt as it came.
        return_type: as for `generate`.
        output_logits: give the logits too.

    Raises:
        ArgumentError: the text is asked of a network without a tokenizer, or logits are NaN.

    """
    texts = _text_streams(model, plan) if _wants_text(given, return_type) else []
    rows = [[text.start] for text in texts]
    columns, logits = [plan.prompt], []
    for step in steps(model, plan):
        columns.append(step.tokens.unsqueeze(1))
        for parts, piece in zip(rows, _pieces(texts, step), strict=True):
            parts.append(piece)
        if output_logits:
            logits.append(step.logits.masked_fill(step.ended.unsqueeze(1), torch.nan))
    sequences: Written | None = None
    if texts:
        joined = ["".join(parts) for parts in rows]
        sequences = joined[0] if _is_one(given) else joined
    elif return_type is not None:
        sequences = torch.cat(columns, dim=1)
    return Generated(sequences, torch.stack(logits, dim=1)) if output_logits else sequences


def _wants_text(given: Prompt, return_type: str | None) -> bool:
    return return_type == "str" or (return_type == "input" and not isinstance(given, Tensor))


def _is_one(given: Prompt) -> bool:
    """Whether the text of this prompt is one string, and not a list of them."""
    return given.ndim == 1 if isinstance(given, Tensor) else isinstance(given, str)


def _text_streams(model: LanguageModel, plan: Plan) -> list[TextStream]:
    """Return the text of every row, which begins with the prompt."""
    if model.tokenizer is None:
        raise ArgumentError(
            "return_type='str' needs a tokenizer, and this network has none: use return_type='tokens', or set one with "
            "model.set_tokenizer(tokenizer)."
        )
    return [TextStream(model.tokenizer, plan.prompt_of(row)) for row in range(len(plan.prompt))]


def _pieces(texts: list[TextStream], step: Step) -> list[str]:
    """Return what a step adds to each text; a row that ends gives what it held back."""
    pieces = []
    for text, token in zip(texts, step.going_on, strict=False):  # no texts where only tokens are wanted
        piece = "" if token is None else text.push(token)
        pieces.append(piece + text.finish() if token is None or step.is_last else piece)
    return pieces

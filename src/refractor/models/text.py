"""`TextMixin`: what a network with a tokenizer can do with text."""

import copy
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refractor.base.checks import check_member, check_tokens
from refractor.base.errors import ArgumentError, ShapeError
from refractor.models.config import HookedTransformerConfig
from refractor.models.padding import pad_rows
from refractor.models.tokenizer import SIDES, Side, Tokenizer, as_tokenizer, id_tensor

if TYPE_CHECKING:
    from refractor.models.embed import Unembed


class TextMixin:
    """Text to tokens and back, for a network with `cfg`, `tokenizer` and `unembed`.

    **Whether a BOS is prepended**: as `prepend_bos` says; when it is left out, as `cfg.default_prepend_bos` says, but
    a tokenizer without a BOS token then prepends none. A text that begins with the BOS gets no second one, and
    neither does a tokenizer add one by itself. Results depend on the BOS: models whose own tokenizer adds none
    (`tokenizer.prepends_bos` is False, as in GPT-2 and SmolLM2) are used elsewhere without it.

    **Padding**: shorter texts of a batch are filled up on `padding_side`, by default `tokenizer.padding_side`, with the
    pad token, else the EOS, else token 0. Which one does not matter: the mask of `text_input` hides it.
    """

    cfg: HookedTransformerConfig
    tokenizer: Tokenizer | None = None
    unembed: "Unembed"

    def set_tokenizer(self, tokenizer: Any, default_padding_side: Side | None = None) -> None:
        """Give the network a tokenizer.

        Args:
            tokenizer: ours, a fast tokenizer of `transformers`, or a `tokenizers.Tokenizer`.
            default_padding_side: where shorter texts of a batch are filled up; the tokenizer's own by default.

        Raises:
            ArgumentError: it is no tokenizer, or the side is unknown.

        """
        check_member("default_padding_side", default_padding_side, (*SIDES, None))
        known = as_tokenizer(tokenizer)
        if default_padding_side is not None:
            known = copy.copy(known)  # the caller's own stays as it is
            known.padding_side = default_padding_side
        self.tokenizer = known

    # ---- text to tokens ------------------------------------------------------------------------------------------

    def to_tokens(
        self,
        input: str | Sequence[str],  # noqa: A002  the name that notebooks use
        prepend_bos: bool | None = None,
        padding_side: Side | None = None,
        move_to_device: bool = True,
        truncate: bool = True,
    ) -> Int[Tensor, "batch pos"]:
        """Return the tokens of texts.

        They do not say which are padding. Pass texts of different lengths to the network as they are, or with the mask
        of `text_input`.

        Args:
            input: a text (a batch of one) or several.
            prepend_bos: whether they begin with the BOS; see the class for the default.
            padding_side: where shorter texts are filled up.
            move_to_device: put the tokens where the network is.
            truncate: keep the first `cfg.n_ctx` tokens of a longer text, BOS included, with a warning.

        Returns:
            Tokens [batch, pos].

        Raises:
            ArgumentError: there is no tokenizer; no text, or one without tokens; `prepend_bos=True` without a BOS; or
                the tokenizer belongs to another network.

        """
        rows = self._encode(input, prepend_bos)
        if truncate and any(len(row) > self.cfg.n_ctx for row in rows):
            warnings.warn(
                f"a text is longer than n_ctx={self.cfg.n_ctx} tokens: its beginning is kept (or truncate=False).",
                stacklevel=2,
            )
            rows = [row[: self.cfg.n_ctx] for row in rows]
        tokens, _ = self._pad(rows, padding_side)
        return tokens.to(self.cfg.device) if move_to_device else tokens

    def text_input(
        self,
        input: str | Sequence[str],  # noqa: A002  the name that notebooks use
        prepend_bos: bool | None = None,
        padding_side: Side | None = None,
    ) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"] | None]:
        """Return the tokens of texts and which of them are real, on the device of the network.

        The mask is known from the lengths of the texts and not guessed from the pad token, so that a BOS which is the
        pad token too (as in GPT-2) is read.

        Args:
            input: a text (a batch of one) or several.
            prepend_bos: whether they begin with the BOS; see the class for the default.
            padding_side: where shorter texts are filled up.

        Returns:
            Tokens [batch, pos], and a mask of the same shape, or None when there is no padding.

        Raises:
            ArgumentError: a text is longer than the context, or as for `to_tokens`.

        """
        rows = self._encode(input, prepend_bos)
        for index, row in enumerate(rows):
            if len(row) > self.cfg.n_ctx:
                which = "the text" if len(rows) == 1 else f"text {index}"
                raise ArgumentError(
                    f"{which} has {len(row)} tokens, but the network reads at most n_ctx={self.cfg.n_ctx}. Shorten it; "
                    "to_tokens(text, truncate=True) keeps the beginning."
                )
        tokens, mask = self._pad(rows, padding_side)
        return tokens.to(self.cfg.device), None if mask is None else mask.to(self.cfg.device)

    def to_single_token(self, string: str) -> int:
        """Return the token that a string is.

        Where a tokenizer puts a space before every text (Llama's), its token for "Mary" reads " Mary" and is found
        under both.

        Raises:
            ArgumentError: it becomes several tokens (they are listed) or none.

        """
        known = self._known_tokenizer()
        tokens = known.encode(string)
        if len(tokens) == 1:
            return tokens[0]
        bare = known.encode(string[1:]) if string.startswith(" ") else []
        if len(bare) == 1 and known.str_token(bare[0]) == string:
            return bare[0]
        listed = ", ".join(f"{known.str_token(token)!r} ({token})" for token in tokens[:8])
        more = ", ..." if len(tokens) > 8 else ""
        became = f"{len(tokens)} tokens, not one: {listed}{more}" if tokens else "no token"
        raise ArgumentError(
            f"{string!r} is {became}. A leading space often decides: ' word' is another token than 'word'."
        )

    def get_token_position(
        self,
        single_token: str | int | np.integer | Tensor,
        input: str | Tensor | Sequence[int] | np.ndarray,  # noqa: A002  the name that notebooks use
        mode: Literal["first", "last"] = "first",
        prepend_bos: bool | None = None,
        padding_side: Side | None = None,
    ) -> int:
        """Return where a token stands in a text.

        Args:
            single_token: the token, or a string that is one.
            input: a text, or its tokens ([pos], or [1, pos]).
            mode: "first" or "last" of several places.
            prepend_bos: whether a text begins with the BOS, which counts as position 0.
            padding_side: of no consequence for a single text.

        Raises:
            ArgumentError: the token is not there, or the string is no single token.
            ShapeError: `input` are tokens of several texts.

        """
        check_member("mode", mode, ("first", "last"))
        if isinstance(single_token, str):
            token = self.to_single_token(single_token)
        else:
            token = _single("single_token", single_token)
        if isinstance(input, str):
            tokens = self.to_tokens(input, prepend_bos, padding_side, move_to_device=False)
        else:
            tokens = id_tensor("input", input)
        if tokens.ndim == 2 and len(tokens) == 1:
            tokens = tokens[0]
        if tokens.ndim != 1:
            raise ShapeError(f"input must be one text, or its tokens [pos]; {list(tokens.shape)} came.")
        places = (tokens == token).nonzero()[:, 0].tolist()
        if not places:
            raise ArgumentError(f"token {self._named(token)} is not among the {len(tokens)} tokens of the input.")
        return places[0] if mode == "first" else places[-1]

    def tokens_to_residual_directions(
        self, tokens: str | int | np.integer | Sequence[int] | Tensor | np.ndarray
    ) -> Float[Tensor, "*at d_model"]:
        """Return the directions of the residual stream that raise the logits of tokens: columns of `W_U`.

        Args:
            tokens: a string that is one token, a token, or an array of tokens.

        Returns:
            [d_model] for a string or an int; the axes of `tokens`, then d_model, for an array (one of a single token
            included).

        Raises:
            ArgumentError: a token is out of range, or the string is no single token.

        """
        ids = id_tensor("tokens", self.to_single_token(tokens) if isinstance(tokens, str) else tokens)
        W_U = self.unembed.W_U
        check_tokens("tokens", ids, W_U.shape[1])
        columns = W_U.index_select(1, ids.reshape(-1).to(W_U.device))
        return columns.T.reshape(*ids.shape, W_U.shape[0])

    # ---- tokens to text ------------------------------------------------------------------------------------------

    def to_string(
        self, tokens: int | np.integer | Sequence[int] | Sequence[Sequence[int]] | Tensor | np.ndarray
    ) -> str | list[str]:
        """Return the text of tokens, special ones and padding included.

        Args:
            tokens: [pos] or a single token for one text, [batch, pos] for several.

        Returns:
            A string, or a list of strings.

        Raises:
            ArgumentError: a token has no text.
            ShapeError: `tokens` are no integers, or have more than two axes.

        """
        known = self._known_tokenizer()
        ids = id_tensor("tokens", tokens)
        if ids.ndim > 2:
            raise ShapeError(f"tokens must have shape [pos] or [batch, pos]; {list(ids.shape)} came.")
        for token in ids.reshape(-1).tolist():
            if not known.has(token):
                raise self._without_text(token)
        return known.batch_decode(ids) if ids.ndim == 2 else known.decode(ids)

    def to_str_tokens(
        self,
        input: str | Sequence[str] | Sequence[int] | Tensor | np.ndarray,  # noqa: A002  the name that notebooks use
        prepend_bos: bool | None = None,
        padding_side: Side | None = None,
    ) -> list[str] | list[list[str]]:
        """Return the text of every single token, to label positions with. A list of texts is not padded.

        Tokens that the network has and the tokenizer has not (rows that round `d_vocab` up) read "<unused 50300>".

        Args:
            input: a text or a list of texts; or tokens, [pos] or [batch, pos].
            prepend_bos: whether texts begin with the BOS; of no consequence for tokens.
            padding_side: of no consequence.

        Returns:
            A list of strings for one text, which tokens [1, pos] are too, as notebooks pass them; otherwise a list of
            such lists.

        Raises:
            ArgumentError: there is no tokenizer, or a token is out of range.
            ShapeError: tokens are no integers, or have more than two axes.

        """
        if isinstance(input, str):
            tokens = self.to_tokens(input, prepend_bos, padding_side, move_to_device=False)
        elif _are_texts(input):
            return [self._labels(self.to_tokens(text, prepend_bos, move_to_device=False)[0]) for text in input]
        else:
            tokens = id_tensor("input", input)
        if tokens.ndim > 2:
            raise ShapeError(f"tokens must have shape [pos] or [batch, pos]; {list(tokens.shape)} came.")
        if tokens.ndim == 2 and len(tokens) != 1:
            return [self._labels(row) for row in tokens]
        return self._labels(tokens)

    def to_single_str_token(self, int_token: int | np.integer) -> str:
        """Return the text of one token; see `to_str_tokens`.

        Raises:
            ArgumentError: it is out of range, or there is no tokenizer.

        """
        return self._label(_single("int_token", int_token))

    # ---- inside --------------------------------------------------------------------------------------------------

    def _known_tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise ArgumentError(
                "this network has no tokenizer: pass tokens, or set one with model.set_tokenizer(tokenizer)."
            )
        return self.tokenizer

    def _bos(self, prepend_bos: bool | None) -> int | None:
        """Return the token to prepend, or None."""
        check_member("prepend_bos", prepend_bos, (True, False, None))
        bos = self._known_tokenizer().bos_token_id
        if prepend_bos and bos is None:
            raise ArgumentError(
                "prepend_bos=True needs a tokenizer with a BOS token, and this one has none. Leave prepend_bos out, or "
                "name one: model.tokenizer.bos_token = '...'."
            )
        wanted = self.cfg.default_prepend_bos if prepend_bos is None else prepend_bos
        return bos if wanted else None

    def _encode(self, given: str | Sequence[str], prepend_bos: bool | None) -> list[list[int]]:
        known, bos = self._known_tokenizer(), self._bos(prepend_bos)
        texts = [given] if isinstance(given, str) else given
        if not _are_texts(texts):
            what = "no text at all" if isinstance(given, list | tuple) and not given else type(given).__name__
            raise ArgumentError(f"input must be a string or a list of strings; {what} came.")
        rows = [known.encode(text) for text in texts]
        for index, row in enumerate(rows):
            if bos is not None and row[:1] != [bos]:
                row.insert(0, bos)
            if not row:
                which = "the prompt" if len(rows) == 1 else f"prompt {index}"
                raise ArgumentError(f"{which} is empty: it has no token; prepend_bos=True gives one.")
            if max(row) >= self.cfg.d_vocab:
                raise ArgumentError(
                    f"the tokenizer gives token {self._named(max(row))}, but d_vocab={self.cfg.d_vocab}: tokenizer and "
                    "network do not belong together, or tokens were added to the tokenizer."
                )
        return rows

    def _pad(
        self, rows: list[list[int]], padding_side: Side | None
    ) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"] | None]:
        known = self._known_tokenizer()
        check_member("padding_side", padding_side, (*SIDES, None))
        filler = (known.pad_token_id, known.eos_token_id)
        pad_id = next((token for token in filler if token is not None and token < self.cfg.d_vocab), 0)
        return pad_rows(rows, pad_id, padding_side or known.padding_side)

    def _labels(self, tokens: Tensor) -> list[str]:
        return [self._label(token) for token in tokens.reshape(-1).tolist()]

    def _label(self, token: int) -> str:
        known = self._known_tokenizer()
        if known.has(token):
            return known.str_token(token)
        if 0 <= token < max(self.cfg.d_vocab, self.cfg.d_vocab_out):
            return f"<unused {token}>"
        raise self._without_text(token)

    def _named(self, token: int) -> str:
        known = self.tokenizer
        return f"{token} ({known.str_token(token)!r})" if known is not None and known.has(token) else str(token)

    def _without_text(self, token: int) -> ArgumentError:
        return ArgumentError(
            f"token {token} has no text: the tokenizer has {len(self._known_tokenizer())} tokens, the network "
            f"d_vocab={self.cfg.d_vocab}."
        )


def _are_texts(given: object) -> TypeGuard[Sequence[str]]:
    """Whether it is a sequence of strings, and not an empty one."""
    if not isinstance(given, list | tuple | np.ndarray):
        return False
    return len(given) > 0 and all(isinstance(text, str) for text in given)


def _single(name: str, given: object) -> int:
    """Return the one token that an int or a tensor of one element is."""
    ids = id_tensor(name, given)
    if ids.numel() != 1:
        raise ShapeError(f"{name} must be one token; {list(ids.shape)} came.")
    return int(ids)

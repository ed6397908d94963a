"""`Tokenizer`: text to tokens and back, with what notebooks use of a Hugging Face tokenizer."""

import copy
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, overload, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.checks import check_member
from refractor.base.errors import ArgumentError, RefractorError, ShapeError

Side = Literal["left", "right"]
Ids = int | np.integer | Sequence[int] | Tensor | np.ndarray

SIDES = ("left", "right")
SPECIAL = ("bos_token", "eos_token", "pad_token")
SPACE = "\u2581"  # how SentencePiece writes a space inside a token
MOST = 2**32  # the library keeps ids as unsigned 32-bit integers


@runtime_checkable
class Backend(Protocol):
    """What is used of a `tokenizers.Tokenizer`, so that importing this module does not import that library."""

    @property
    def truncation(self) -> Any:
        """How texts are cut short, or None."""
        ...

    @property
    def padding(self) -> Any:
        """How texts are padded, or None."""
        ...

    def encode(self, sequence: Any, *, add_special_tokens: bool) -> Any:
        """Return the encoding of a text."""
        ...

    def decode(self, ids: Any, skip_special_tokens: bool) -> str:
        """Return the text of tokens."""
        ...

    def id_to_token(self, id: int) -> str | None:  # noqa: A002  the library's name
        """Return how a token is written in the vocabulary."""
        ...

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token of the vocabulary."""
        ...

    def get_vocab(self) -> dict[str, int]:
        """Return the vocabulary."""
        ...

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """Return its size."""
        ...

    def get_added_tokens_decoder(self) -> Mapping[int, Any]:
        """Return the tokens that are matched whole in a text, by id."""
        ...

    def to_str(self) -> str:
        """Return everything as JSON text."""
        ...


@runtime_checkable
class Wrapper(Protocol):
    """A fast tokenizer of `transformers`, known by the `tokenizers.Tokenizer` inside."""

    @property
    def backend_tokenizer(self) -> Any:
        """The tokenizer inside."""
        ...


class LibraryErrors:
    """Raise `error` with `message` (and the reason behind it) when the library fails inside `with`.

    It raises the plain class `Exception` for what it cannot read, and panics (a `BaseException`) on files that are
    valid and make no sense; nothing else is caught.
    """

    def __init__(self, error: type[RefractorError], message: str) -> None:
        self.error = error
        self.message = message

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, reason: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Translate what the library raised."""
        if kind is Exception or (kind is not None and kind.__name__ == "PanicException"):
            raise self.error(f"{self.message}: {reason}.") from reason
        return False


class Tokenizer:
    """Text to tokens and back, exactly as `backend` does it; special tokens only where they are asked for.

    `padding_side` and the three special tokens can be assigned, as notebooks do.

    Args:
        backend: a `tokenizers.Tokenizer`.
        bos_token: the token at the beginning of a text, as the vocabulary writes it; None where there is none.
        eos_token: the token at the end of a text.
        pad_token: the token that fills up shorter texts of a batch.
        prepends_bos: whether the model's own tokenizer puts `bos_token` before every text, and so what the model was
            trained on: Llama's, Gemma's and Mistral's do, GPT-2's and SmolLM2's do not. `encode` never does by itself.
        padding_side: where shorter texts are filled up.

    Raises:
        ArgumentError: a special token is not in the vocabulary, a side is unknown, or `prepends_bos` without a BOS.

    >>> from tokenizers import Tokenizer as Library, models, pre_tokenizers
    >>> library = Library(models.WordLevel({"<s>": 0, "one": 1, "two": 2, "?": 3}, unk_token="?"))
    >>> library.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> tokenizer = Tokenizer(library, bos_token="<s>")
    >>> tokenizer.encode("two one"), tokenizer.decode([1, 2]), tokenizer.bos_token_id, len(tokenizer)
    ([2, 1], 'one two', 0, 4)

    """

    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    padding_side: Side

    def __init__(
        self,
        backend: Backend,
        *,
        bos_token: str | None = None,
        eos_token: str | None = None,
        pad_token: str | None = None,
        prepends_bos: bool = False,
        padding_side: Side = "right",
    ) -> None:
        self._backend = backend
        self.bos_token = bos_token
        self.eos_token = eos_token
        self.pad_token = pad_token
        self.padding_side = padding_side
        if prepends_bos and bos_token is None:
            raise ArgumentError("prepends_bos=True needs a bos_token; None came.")
        self.prepends_bos = prepends_bos

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign an attribute; a special token must be in the vocabulary.

        Raises:
            ArgumentError: it is not, or `padding_side` is unknown.

        """
        if name in SPECIAL and value is not None and (not isinstance(value, str) or self._id(value) is None):
            raise ArgumentError(
                f"{name} must be a token of the vocabulary ({len(self)} tokens) or None; {value!r} came."
            )
        if name == "padding_side":
            check_member(name, value, SIDES)
        super().__setattr__(name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tokenizer":
        return copy.copy(self)  # the vocabulary never changes here, and copying it takes longer than copying a network

    def __repr__(self) -> str:
        special = "".join(f", {name}={getattr(self, name)!r}" for name in SPECIAL)
        return f"Tokenizer({len(self)} tokens{special}, padding_side={self.padding_side!r})"

    def __len__(self) -> int:
        """Return the number of tokens, added ones included."""
        return self._backend.get_vocab_size()

    @property
    def backend_tokenizer(self) -> Backend:
        """The `tokenizers.Tokenizer` inside."""
        return self._backend

    @property
    def vocab_size(self) -> int:
        """The number of tokens without those that were added to the vocabulary later."""
        return self._backend.get_vocab_size(with_added_tokens=False)

    @property
    def bos_token_id(self) -> int | None:
        """The id of `bos_token`."""
        return self._id(self.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        """The id of `eos_token`."""
        return self._id(self.eos_token)

    @property
    def pad_token_id(self) -> int | None:
        """The id of `pad_token`."""
        return self._id(self.pad_token)

    def get_vocab(self) -> dict[str, int]:
        """Return all tokens as the vocabulary writes them, with their ids."""
        return self._backend.get_vocab()

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Return the tokens of a text.

        Args:
            text: any text. A special token written out in it, `<|endoftext|>` say, is that token.
            add_special_tokens: put the BOS before it, if the model's own tokenizer does (`prepends_bos`) and the text
                does not begin with it already.

        Raises:
            ArgumentError: `text` is no string, or no valid Unicode.

        """
        if not isinstance(text, str):
            raise ArgumentError(f"text must be a string; {text!r} ({type(text).__name__}) came.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ArgumentError(
                f"text must be valid Unicode; half of a surrogate pair, {text[error.start]!r}, came at {error.start}."
            ) from error
        self._backend = untruncated(self._backend)
        with LibraryErrors(ArgumentError, f"the tokenizer cannot read {shown(text)}"):
            ids = list(self._backend.encode(text, add_special_tokens=False).ids)
        bos = self.bos_token_id
        if add_special_tokens and self.prepends_bos and bos is not None and ids[:1] != [bos]:
            ids.insert(0, bos)
        return ids

    def decode(self, ids: Ids, skip_special_tokens: bool = False) -> str:
        """Return the text of tokens.

        Args:
            ids: one token or several, [pos].
            skip_special_tokens: leave BOS, EOS and the like out.

        Raises:
            ArgumentError: a token is not in the vocabulary.
            ShapeError: `ids` are no integers, or have several axes.

        """
        tokens = id_tensor("ids", ids)
        if tokens.ndim > 1:
            raise ShapeError(f"decode reads one text, [pos]; {list(tokens.shape)} came. batch_decode reads several.")
        listed = tokens.reshape(-1).tolist()
        self.check(listed)
        return self._backend.decode(listed, skip_special_tokens=skip_special_tokens)

    def batch_decode(self, ids: Sequence[Ids] | Tensor | np.ndarray, skip_special_tokens: bool = False) -> list[str]:
        """Return the texts of several rows of tokens; see `decode`."""
        return [self.decode(row, skip_special_tokens) for row in ids]

    @overload
    def convert_ids_to_tokens(self, ids: int | np.integer) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Sequence[int] | Tensor | np.ndarray) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: Ids) -> str | list[str]:
        """Return tokens as the vocabulary writes them (GPT-2's " the" is "Ġthe"): a string for an int, else a list.

        Raises:
            ArgumentError: a token is not in the vocabulary.

        """
        tokens = id_tensor("ids", ids).reshape(-1).tolist()
        self.check(tokens)
        written = [self._backend.id_to_token(token) or "" for token in tokens]
        return written[0] if isinstance(ids, int | np.integer) else written

    def has(self, token: int) -> bool:
        """Whether the vocabulary has a token of this id."""
        return 0 <= token < MOST and self._backend.id_to_token(token) is not None

    def check(self, tokens: Sequence[int]) -> None:
        """Raise unless the vocabulary has all these tokens.

        Raises:
            ArgumentError: the first one that it has not is named.

        """
        for place, token in enumerate(tokens):
            if not self.has(token):
                raise ArgumentError(f"token {token} (at {place}) is not in the vocabulary of {len(self)} tokens.")

    def str_token(self, token: int) -> str:
        """Return the text that a token stands for inside a text.

        The space that begins a token of SentencePiece is kept, although `decode` takes it off the beginning of a text;
        without it " cat" and "cat" would look the same. Part of a character's bytes reads "\ufffd".

        Raises:
            ArgumentError: the token is not in the vocabulary.

        """
        written, text = self.convert_ids_to_tokens(token), self.decode([token])
        spaces = len(written) - len(written.lstrip(SPACE))
        return " " * spaces + text.lstrip(" ") if spaces and not text.startswith(SPACE) else text

    def _id(self, token: str | None) -> int | None:
        return None if token is None else self._backend.token_to_id(token)


def as_tokenizer(given: object) -> Tokenizer:
    """Return a `Tokenizer` of what people have: ours, a fast tokenizer of `transformers`, or a `tokenizers.Tokenizer`.

    Special tokens and the side of padding are taken over. A bare `tokenizers.Tokenizer` does not say which its special
    tokens are: its BOS is the one token that it puts before every text, if it does; for others build a `Tokenizer`.

    Raises:
        ArgumentError: it is none of them.

    >>> from tokenizers import Tokenizer as Library, models
    >>> as_tokenizer(Library(models.WordLevel({"one": 0, "?": 1}, unk_token="?")))
    Tokenizer(2 tokens, bos_token=None, eos_token=None, pad_token=None, padding_side='right')

    """
    if isinstance(given, Tokenizer):
        return given
    if isinstance(given, Wrapper) and isinstance(given.backend_tokenizer, Backend):
        wrapper: Any = given  # what else it has, it has by that library's promise
        special = {name: None if getattr(wrapper, name) is None else str(getattr(wrapper, name)) for name in SPECIAL}
        backend = given.backend_tokenizer
        prepends = special["bos_token"] is not None and prefix(backend)[:1] == [special["bos_token"]]
        return Tokenizer(backend, **special, prepends_bos=prepends, padding_side=wrapper.padding_side)
    if isinstance(given, Backend):
        before = prefix(given)
        bos = before[0] if len(before) == 1 else None
        return Tokenizer(given, bos_token=bos, prepends_bos=bos is not None)
    raise ArgumentError(
        "a tokenizer must be a refractor Tokenizer, a fast tokenizer of transformers (one with backend_tokenizer) or a "
        f"tokenizers.Tokenizer; {type(given).__name__} came."
    )


def prefix(backend: Backend) -> list[str]:
    """Return the special tokens that a tokenizer puts before every text when it is left to itself."""
    whole = untruncated(backend)
    if not whole.encode("", add_special_tokens=True).ids:
        return []
    # a text that is sure to be read, to see what stands before it and what behind
    plain_ids = (id_ for id_ in range(whole.get_vocab_size()) if id_ not in whole.get_added_tokens_decoder())
    text = whole.id_to_token(next(plain_ids, 0)) or ""
    plain, full = (list(whole.encode(text, add_special_tokens=special).ids) for special in (False, True))
    for start in range(len(full) - len(plain) + 1):
        if full[start : start + len(plain)] == plain:
            return [whole.id_to_token(token) or "" for token in full[:start]]
    return []


def untruncated(backend: Backend) -> Backend:
    """Return a tokenizer that neither cuts texts short nor pads them: the same one if it does not, else a copy.

    Files often carry such settings, and `transformers` leaves those of its last call behind; obeyed, they would change
    texts in silence.
    """
    if backend.truncation is None and backend.padding is None:
        return backend
    whole: Any = type(backend).from_str(backend.to_str())  # type: ignore[attr-defined]
    whole.no_truncation()
    whole.no_padding()
    return whole


def id_tensor(name: str, ids: object) -> Int[Tensor, "..."]:
    """Return tokens as a tensor of integers on the CPU: from an int, a list of them (or of such lists), an array.

    Raises:
        ShapeError: they are no integers, or rows differ in length.

    >>> id_tensor("tokens", [[1, 2], [3, 4]]).shape
    torch.Size([2, 2])

    """
    try:
        tokens = ids.detach().cpu() if isinstance(ids, Tensor) else torch.tensor(ids)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(f"{name} must be an integer or a regular array of integers; {shown(ids)} came.") from error
    if tokens.numel() == 0:
        return tokens.long()
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise ShapeError(f"{name} must be integers; {tokens.dtype} came.")
    return tokens.long()


def shown(value: object) -> str:
    """Return a value and its type for a message, long ones cut short."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"

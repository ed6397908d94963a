"""The tokenizer in a GGUF file, built with the `tokenizers` library.

Two kinds are read. "gpt2" is byte-level BPE: a vocabulary, merges in order, and the name of a rule that first cuts text
into words. "llama" is SentencePiece BPE: a vocabulary with scores and bytes to fall back to; it has no list of merges,
but of two neighbours it joins those that make the piece with the highest score, so the scores are the order of merges.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from refractor.base.errors import CheckpointError
from refractor.checkpoints.weight_files import listed
from refractor.models.tokenizer import Tokenizer

UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6  # types of tokens
NORMAL = 1
SPACE = "\u2581"  # SentencePiece's

WORDS_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS_QWEN2 = WORDS_LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


class Rule(NamedTuple):
    """How text is cut before merges.

    Args:
        words: the expression of a word; GPT-2's by default.
        digits: whether every digit is a word of its own.
        whole: whether a word that is a token is taken whole, whatever the merges say.
        composed: whether characters are composed first (Unicode NFC).
        begins: whether the model's own tokenizer puts a token before every text, where the file does not say.

    """

    words: str | None = None
    digits: bool = False
    whole: bool = False
    composed: bool = False
    begins: bool = False


GPT2, LLAMA3, DIGITS = Rule(), Rule(WORDS_LLAMA3, whole=True, begins=True), Rule(digits=True)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "gpt-2": GPT2,
        "gpt2": GPT2,
        "olmo": GPT2,
        "mpt": GPT2,
        "llama3": LLAMA3,
        "llama-v3": LLAMA3,
        "llama-bpe": LLAMA3,
        "dbrx": Rule(WORDS_LLAMA3),
        "smaug-bpe": Rule(WORDS_LLAMA3),
        "qwen2": Rule(WORDS_QWEN2, composed=True),
        "deepseek-r1-qwen": Rule(WORDS_QWEN2, composed=True),
        "stablelm2": Rule(WORDS_QWEN2),
        "smollm": DIGITS,
        "starcoder": DIGITS,
        "refact": DIGITS,
        "command-r": DIGITS,
    }
)
"""What `tokenizer.ggml.pre` says."""

UNNAMED = ("default", "")  # what old conversions say of every model


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer | None:
    """Build the tokenizer that the metadata of a GGUF file describes.

    Args:
        metadata: of the file.

    Returns:
        The tokenizer; None where the file has none, or, after a warning that says why, one that is not supported.

    Raises:
        CheckpointError: the entries of the metadata contradict each other.

    """
    kind = metadata.get("tokenizer.ggml.model")
    if kind is None or kind == "no_vocab":
        return None
    tokens = _strings(metadata, "tokens")
    reason = _unsupported(metadata, tokens)
    if reason:
        warnings.warn(
            f"the tokenizer in the GGUF file is not supported: {reason}. The model reads tokens, not text, until one "
            "is set with model.set_tokenizer(...).",
            stacklevel=3,
        )
        return None
    types = _numbers(metadata, "token_type", len(tokens), NORMAL)
    library, begins = BUILDERS[str(kind)](metadata, tokens, types)
    bos, eos, pad = (_special(metadata, name, tokens) for name in ("bos", "eos", "padding"))
    _add_special(library, tokens, types, (bos, eos, pad) if "tokenizer.ggml.token_type" not in metadata else ())
    begins = bool(metadata.get("tokenizer.ggml.add_bos_token", begins))
    return Tokenizer(library, bos_token=bos, eos_token=eos, pad_token=pad, prepends_bos=begins and bos is not None)


def _unsupported(metadata: Mapping[str, Any], tokens: Sequence[str]) -> str:
    """Return why a tokenizer is not built; an empty string if it is."""
    kind, rule = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "")
    if kind not in BUILDERS:
        return f"it is of kind {kind!r}; {' and '.join(map(repr, BUILDERS))} are read"
    if len(set(tokens)) < len(tokens):
        twice = [token for token, count in Counter(tokens).items() if count > 1]
        return f"it has tokens twice: {listed(twice, 3)}"
    if kind == "gpt2" and rule not in (*RULES, *UNNAMED):
        return f"it cuts text into words by the rule {rule!r}; {', '.join(RULES)} are read"
    if kind == "llama" and metadata.get("tokenizer.ggml.precompiled_charsmap"):
        return "it replaces characters by a table of its own (precompiled_charsmap)"
    if kind == "llama" and metadata.get("tokenizer.ggml.remove_extra_whitespaces"):
        return "it removes spaces (remove_extra_whitespaces)"
    return ""


def _byte_level(metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]) -> tuple[Any, bool]:
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers
    from tokenizers import Tokenizer as Library

    rule = _rule(metadata)
    library = Library(models.BPE(*_vocabulary(metadata, tokens), ignore_merges=rule.whole))
    if rule.composed:
        library.normalizer = normalizers.NFC()
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if rule.digits else []
    if rule.words is not None:
        steps.append(pre_tokenizers.Split(Regex(rule.words), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=rule.words is None))
    library.pre_tokenizer = pre_tokenizers.Sequence(steps)
    library.decoder = decoders.ByteLevel()
    return library, rule.begins


def _rule(metadata: Mapping[str, Any]) -> Rule:
    name = metadata.get("tokenizer.ggml.pre", "")
    if name in UNNAMED and metadata.get("general.architecture") != "gpt2":
        warnings.warn(
            "the GGUF file does not say how its tokenizer cuts text into words (tokenizer.ggml.pre); GPT-2's rule is "
            "used, and tokens may differ from those of training. A newer conversion of the model says it.",
            stacklevel=5,
        )
    return GPT2 if name in UNNAMED else RULES[name]


def _vocabulary(metadata: Mapping[str, Any], tokens: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges, after checking that each merge makes a token of two tokens."""
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = []
    for merge in _strings(metadata, "merges"):
        space = merge.find(" ", 1)  # a piece may begin with a space, but none is empty
        left, right = merge[:space], merge[space + 1 :]
        if space < 0 or left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise CheckpointError(f"tokenizer.ggml.merges has {merge!r}, which does not make a token of two tokens.")
        merges.append((left, right))
    return vocabulary, merges


def _sentencepiece(metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]) -> tuple[Any, bool]:
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, normalizers

    scores = _numbers(metadata, "scores", len(tokens), None)
    unknown = [token for token, kind in zip(tokens, types, strict=True) if kind == UNKNOWN]
    model = models.BPE(
        {token: number for number, token in enumerate(tokens)},
        merges_of_scores([token if kind == NORMAL else "" for token, kind in zip(tokens, types, strict=True)], scores),
        unk_token=unknown[0] if unknown else None,
        fuse_unk=True,
        byte_fallback=BYTE in types,
    )
    library = Library(model)
    before = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    spaces = normalizers.Replace(" ", SPACE)
    library.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if before else spaces
    steps: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    library.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if before else steps)
    return library, True


def merges_of_scores(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Return in which order SentencePiece joins neighbours: all pairs that make a token, by its score.

    Args:
        tokens: the pieces that take part; empty strings hold places and take no part.
        scores: theirs, higher first; of equal ones the earlier comes first.

    >>> merges_of_scores(["a", "b", "ab", "aba"], [-9.0, -9.0, -1.0, -0.5])
    [('ab', 'a'), ('a', 'b')]

    """
    pieces = {token for token in tokens if token}
    order = sorted(range(len(tokens)), key=lambda number: -scores[number])
    return [
        (token[:cut], token[cut:])
        for token in (tokens[number] for number in order)
        for cut in range(1, len(token))
        if token[:cut] in pieces and token[cut:] in pieces
    ]


def _add_special(library: Any, tokens: Sequence[str], types: Sequence[int], more: Sequence[str | None]) -> None:
    """Tell the library which tokens are found whole in text, before anything else.

    Args:
        library: the tokenizer.
        tokens: of the vocabulary.
        types: theirs.
        more: special tokens besides those whose type says it, for old files without types.

    """
    from tokenizers import AddedToken

    kinds = list(zip(tokens, types, strict=True))
    special = [token for token, kind in kinds if kind in (UNKNOWN, CONTROL)] + [token for token in more if token]
    own = [token for token, kind in kinds if kind == USER_DEFINED]
    library.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special if token])
    library.add_tokens([AddedToken(token, normalized=False) for token in own if token])


def _special(metadata: Mapping[str, Any], name: str, tokens: Sequence[str]) -> str | None:
    number = metadata.get(f"tokenizer.ggml.{name}_token_id")
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(tokens):
        raise CheckpointError(f"tokenizer.ggml.{name}_token_id is {number!r}; there are {len(tokens)} tokens.")
    return tokens[number]


def _strings(metadata: Mapping[str, Any], name: str) -> list[str]:
    values = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise CheckpointError(f"tokenizer.ggml.{name} must be a list of strings, and not empty.")
    return values


def _numbers(metadata: Mapping[str, Any], name: str, count: int, default: int | None) -> list[Any]:
    """Return one number for each token; `default` for each where the file has none."""
    values = metadata.get(f"tokenizer.ggml.{name}")
    if values is None and default is not None:
        return [default] * count
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(isinstance(value, int | float) for value in values)
    ):
        raise CheckpointError(f"tokenizer.ggml.{name} must be a list of {count} numbers, one for each token.")
    return values


BUILDERS: Mapping[str, Callable[..., tuple[Any, bool]]] = MappingProxyType(
    {"gpt2": _byte_level, "llama": _sentencepiece}
)
"""What `tokenizer.ggml.model` says, and what builds it; each also returns whether a BOS comes first by default."""

"""The tokenizer of a model folder: from `tokenizer.json`, or from the vocabulary and merges that GPT-2 came with."""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refractor.base.errors import CheckpointError
from refractor.models.tokenizer import SIDES, SPECIAL, LibraryErrors, Tokenizer, as_tokenizer, prefix

if TYPE_CHECKING:
    import tokenizers

__all__ = ["as_tokenizer", "byte_level_bpe", "load_tokenizer", "read_merges"]

BPE_FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))  # the second pair as OpenAI published them
UNREAD = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "vocab.json", "encoder.json")
GPT2_SPECIAL = "<|endoftext|>"
GPT2_CLASSES = ("GPT2Tokenizer", "CodeGenTokenizer", "RobertaTokenizer", "BartTokenizer")
GPT2_TYPES = ("gpt2", "gpt_neo", "gptj", "opt", "codegen", "phi", "roberta", "bart")
PROBE = "Hello world: 3 naïve tests, 中文 & \U0001f600.\n\tDone"


def _reading(what: object) -> LibraryErrors:
    return LibraryErrors(CheckpointError, f"{what} cannot be read as a tokenizer (download it again)")


def load_tokenizer(folder: Path | str) -> Tokenizer | None:
    """Load the tokenizer that lies in a model folder.

    `tokenizer.json` is read, or `vocab.json` with `merges.txt` (byte-level BPE, as in GPT-2). BOS, EOS and padding
    tokens are those that `tokenizer_config.json` names (null means that there is none), else `special_tokens_map.json`,
    else the ids of `generation_config.json` and `config.json`. Whether the model's own tokenizer puts a BOS before
    every text is what `add_bos_token` says, else what the tokenizer does when it is left to itself. Settings that cut
    texts short or pad them are switched off.

    Args:
        folder: a local folder.

    Returns:
        The tokenizer; None when the folder has none, or, with a warning that says what to do, only one of a kind that
        cannot be read.

    Raises:
        CheckpointError: there is no such folder, a file is damaged, or files contradict each other.

    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder, so no tokenizer can be read from it.")
    settings = _read_object(folder / "tokenizer_config.json")
    backend = _read_backend(folder, settings)
    if backend is None:
        return None
    _add_tokens(backend, folder, settings)
    special = {name: _special_token(backend, folder, settings, name) for name in SPECIAL}
    _mark_special(backend, [token for token in special.values() if token is not None])
    side = settings.get("padding_side") or "right"
    if side not in SIDES:
        raise CheckpointError(
            f"{folder / 'tokenizer_config.json'} has padding_side={side!r}; it must be left or right."
        )
    bos = special["bos_token"]
    declared = settings.get("add_bos_token")
    adds = declared if isinstance(declared, bool) else prefix(backend)[:1] == [bos]
    return Tokenizer(backend, **special, prepends_bos=adds and bos is not None, padding_side=side)


def byte_level_bpe(
    vocab: Mapping[str, int],
    merges: Iterable[tuple[str, str]],
    special_tokens: Iterable[str] = (),
    add_prefix_space: bool = False,
) -> "tokenizers.Tokenizer":
    """Build a byte-level BPE tokenizer, GPT-2's kind (Radford et al. 2019), and check that a text survives it.

    Args:
        vocab: id of each token, bytes written as GPT-2 writes them (a space is "Ġ").
        merges: pairs that are joined, first ones first.
        special_tokens: tokens that are matched whole where a text has them.
        add_prefix_space: put a space before a text.

    Returns:
        A `tokenizers.Tokenizer`.

    Raises:
        CheckpointError: the vocabulary lacks a byte, so that text would be lost in silence, or merges and vocabulary do
            not belong together.

    >>> from tokenizers.pre_tokenizers import ByteLevel
    >>> vocab = {byte: id for id, byte in enumerate(sorted(ByteLevel.alphabet()))} | {"he": 256}
    >>> tokenizer = byte_level_bpe(vocab, [("h", "e")])
    >>> tokenizer.encode("he").ids, tokenizer.decode([256])
    ([256], 'he')

    """
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, pre_tokenizers

    lacking = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(vocab))
    if lacking:
        raise CheckpointError(
            f"the vocabulary is not byte-level: {len(lacking)} of the 256 bytes are missing, first {lacking[0]!r}. "
            "Convert the tokenizer to tokenizer.json with the library that made it."
        )
    with _reading("this vocabulary with these merges"):
        backend = Library(models.BPE(vocab=dict(vocab), merges=list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    _mark_special(backend, [token for token in special_tokens if token in vocab])
    came = backend.decode(backend.encode(PROBE).ids, skip_special_tokens=False)
    if came.removeprefix(" " if add_prefix_space else "") != PROBE:
        raise CheckpointError(f"the vocabulary and merges do not keep text: {PROBE!r} came back as {came!r}.")
    return backend


def read_merges(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a merges file, one a line; a first line `#version …` is none of them.

    Raises:
        CheckpointError: the file cannot be read, or a line is no pair.

    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    merges = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        pair = line.split(" ")
        if len(pair) != 2 or not all(pair):
            raise CheckpointError(f"{path}:{number} must be two tokens with a space between; {line!r} came.")
        merges.append((pair[0], pair[1]))
    return merges


def _read_backend(folder: Path, settings: Mapping[str, Any]) -> "tokenizers.Tokenizer | None":
    path = folder / "tokenizer.json"
    if path.exists():
        from tokenizers import Tokenizer as Library

        with _reading(path):
            backend = Library.from_file(str(path))
            backend.no_truncation()
            backend.no_padding()
            backend.encode("", add_special_tokens=True)  # a post-processor without its tokens fails only here
        if backend.get_vocab_size() == 0:
            raise CheckpointError(f"{path} has an empty vocabulary.")
        return backend
    for vocab_name, merges_name in BPE_FILES:
        vocab_path, merges_path = folder / vocab_name, folder / merges_name
        if vocab_path.exists() and merges_path.exists() and _splits_like_gpt2(folder, settings):
            vocab = _read_object(vocab_path)
            if not all(isinstance(id_, int) and not isinstance(id_, bool) and id_ >= 0 for id_ in vocab.values()):
                raise CheckpointError(f"{vocab_path} must give every token its id, an integer.")
            space = settings.get("add_prefix_space") is True
            try:
                return byte_level_bpe(vocab, read_merges(merges_path), [GPT2_SPECIAL], space)
            except CheckpointError as error:
                raise CheckpointError(f"{folder}: {vocab_name} and {merges_name}: {error}") from error
    _warn_of_others(folder)
    return None


def _splits_like_gpt2(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a vocabulary with merges is GPT-2's kind; other families cut texts into words by other rules."""
    kind = settings.get("tokenizer_class")
    if isinstance(kind, str):
        return kind.removesuffix("Fast") in GPT2_CLASSES
    return _read_object(folder / "config.json").get("model_type", "gpt2") in GPT2_TYPES


def _warn_of_others(folder: Path) -> None:
    """Say what lies in the folder when it is a tokenizer that cannot be read."""
    others = [name for name in UNREAD if (folder / name).exists()]
    if others:
        warnings.warn(
            f"{folder} has a tokenizer only as {others[0]}, which is not read here: text cannot be passed, tokens can. "
            'To convert it once, with transformers and sentencepiece installed: python -c "from transformers import '
            f"AutoTokenizer; AutoTokenizer.from_pretrained(r'{folder}').save_pretrained(r'{folder}')\"",
            stacklevel=4,
        )


def _read_object(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one when there is no such file."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}. Download it again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must be a JSON object; {type(value).__name__} came.")
    return value


def _add_tokens(backend: "tokenizers.Tokenizer", folder: Path, settings: Mapping[str, Any]) -> None:
    """Add the tokens that are listed beside the tokenizer and not in it, and check that they get the ids listed."""
    from tokenizers import AddedToken

    listed = [(token, id_) for id_, token in _object(settings, "added_tokens_decoder").items()]
    listed += list(_read_object(folder / "added_tokens.json").items())
    try:
        wanted = sorted((int(id_), _content(token), token) for token, id_ in listed)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder} lists added tokens without ids: {error}.") from error
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    for id_, content, token in wanted:
        if content is None:
            raise CheckpointError(f"{folder} lists an added token {id_} without its text.")
        options = dict(token) if isinstance(token, dict) else {}
        if content not in known:
            flags = {name: bool(options.get(name)) for name in ("lstrip", "rstrip", "single_word", "normalized")}
            added = AddedToken(content, special=bool(options.get("special")), **flags)
            (backend.add_special_tokens if added.special else backend.add_tokens)([added])
        if backend.token_to_id(content) != id_:
            raise CheckpointError(
                f"{folder} lists the added token {content!r} as {id_}, but the tokenizer has it as "
                f"{backend.token_to_id(content)}. The files are not of one model."
            )


def _special_token(backend: "tokenizers.Tokenizer", folder: Path, settings: Mapping[str, Any], name: str) -> str | None:
    """Return a special token, from the first file that speaks of it; None if there is none."""
    for source, file in ((settings, "tokenizer_config.json"), (None, "special_tokens_map.json")):
        values = _read_object(folder / file) if source is None else source
        if name in values:
            token = _content(values[name])
            if token is None and values[name] is not None:
                raise CheckpointError(f"{folder / file} has {name}={values[name]!r}; it must be a token or null.")
            if token is not None and backend.token_to_id(token) is None:
                warnings.warn(
                    f"{folder / file} names the {name} {token!r}, which the vocabulary does not have; it is left out.",
                    stacklevel=3,
                )
                return None
            return token
    for file in ("generation_config.json", "config.json"):
        values = _read_object(folder / file)
        for part in (values, _object(values, "text_config")):
            token = _token_of_id(backend, part.get(name + "_id"), f"{folder / file}: {name}_id")
            if token is not None:
                return token
    default = name != "pad_token" and not (folder / "tokenizer.json").exists()
    return GPT2_SPECIAL if default and backend.token_to_id(GPT2_SPECIAL) is not None else None


def _token_of_id(backend: "tokenizers.Tokenizer", given: Any, where: str) -> str | None:
    first = given[0] if isinstance(given, list) and given else given  # several may end a text; the first is the EOS
    if first is None or first == []:
        return None
    if not isinstance(first, int) or isinstance(first, bool):
        raise CheckpointError(f"{where} must be an integer; {first!r} came.")
    return backend.id_to_token(first) if 0 <= first < 2**32 else None


def _mark_special(backend: "tokenizers.Tokenizer", tokens: Iterable[str]) -> None:
    """Let special tokens be matched whole where a text has them; their ids stay."""
    from tokenizers import AddedToken

    known = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    missing = [token for token in dict.fromkeys(tokens) if token not in known]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in missing])


def _content(token: Any) -> str | None:
    """Return the text of a token written as a string or as an object with its flags."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _object(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    inner = values.get(key)
    return inner if isinstance(inner, dict) else {}

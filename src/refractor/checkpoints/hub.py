"""Models of the Hugging Face hub by name: what is needed of a repository, from the cache or the network.

Cache, offline mode (`HF_HUB_OFFLINE`), mirrors (`HF_ENDPOINT`) and tokens are those of the huggingface_hub library, and
set as its documentation says. Of a repository only the configuration, the tokenizer and one set of weights are fetched;
no code.
"""

import errno
import re
from collections.abc import Sequence
from pathlib import Path

from refractor.base.errors import CheckpointError
from refractor.checkpoints import safetensors_files, torch_files
from refractor.checkpoints.aliases import PYTHIA, other_names
from refractor.checkpoints.weight_files import read_index

SMALL_FILES: tuple[str, ...] = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    safetensors_files.INDEX_FILE,
    torch_files.INDEX_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
"""What is fetched of every model; those that a repository has."""

LOGIN = "log in with `hf auth login` or set HF_TOKEN"
COMMIT = re.compile(r"[0-9a-f]{40}")


def download(name: str, revision: str | None = None, *, only_config: bool = False) -> Path:
    """Return the folder in the cache that holds a model, after fetching what is not there yet.

    Weights are the safetensors files of the repository, or, when it has none, those that `torch.save` wrote.

    Args:
        name: the repository, `owner/name`.
        revision: a branch, a tag or a commit; the main branch by default.
        only_config: fetch configuration and tokenizer, and no weights.

    Raises:
        CheckpointError: the model is not there, may not be read, or cannot be reached; the message says which, and
            what to do.
        StoreError: the index of the weights is damaged.

    """
    folder = _fetch(name, revision, SMALL_FILES)
    if only_config:
        return folder
    for single, index, suffix in (
        (safetensors_files.SINGLE_FILE, safetensors_files.INDEX_FILE, safetensors_files.SUFFIX),
        (torch_files.SINGLE_FILE, torch_files.INDEX_FILE, torch_files.SUFFIX),
    ):
        has_index = (folder / index).is_file()
        wanted = sorted(set(read_index(folder / index, suffix).values())) if has_index else [single]
        # config.json is there already: with it something always matches, and the library has nothing to warn of
        _fetch(name, revision, ["config.json", *wanted], begun=folder)
        if all((folder / file).is_file() for file in wanted):
            break
    return folder


def _fetch(name: str, revision: str | None, files: Sequence[str], begun: Path | None = None) -> Path:
    """Let the library fetch files, and turn each of its errors into one line.

    Args:
        name: the repository.
        revision: that was asked for.
        files: their names, or patterns.
        begun: the folder of those that were fetched before; its commit is kept to, should the repository change.

    """
    from huggingface_hub import errors, snapshot_download

    failures = (
        OSError,
        ValueError,
        RuntimeError,
        errors.EntryNotFoundError,
        getattr(errors, "HTTPError", OSError),  # of whichever network library this version uses
    )
    pinned = begun.name if begun is not None and COMMIT.fullmatch(begun.name) else revision
    try:
        return Path(snapshot_download(name, revision=pinned, allow_patterns=list(files)))
    except errors.LocalEntryNotFoundError as error:
        for other in other_names(name):
            folder = _cached(other, pinned, files)
            if folder is not None:
                return folder
        raise CheckpointError(_unreachable(name, revision, begun is not None, error)) from error
    except failures as error:
        raise CheckpointError(_explain(name, revision, error)) from error


def _cached(name: str, revision: str | None, files: Sequence[str]) -> Path | None:
    """Return the folder of a model if it is in the cache; nothing is fetched."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files), local_files_only=True))
    except errors.LocalEntryNotFoundError:
        return None


def _unreachable(name: str, revision: str | None, begun: bool, error: Exception) -> str:
    """Say that a model is not in the cache, or only in part, and cannot be fetched now."""
    from huggingface_hub import constants, errors

    incomplete = getattr(errors, "IncompleteSnapshotError", ())  # of versions that keep a list of a repository's files
    state = "only in part" if begun or isinstance(error, incomplete) else "not"
    of = f"{name!r}" if revision is None else f"{name!r} (revision {revision!r})"
    where = f"{of} is {state} in the cache ({constants.HF_HUB_CACHE})"
    or_folder = "or give the path of a folder that holds the model"
    if constants.HF_HUB_OFFLINE or isinstance(error.__cause__, errors.OfflineModeIsEnabled):
        return f"{where}, and HF_HUB_OFFLINE forbids to fetch it: unset that variable and load again, {or_folder}."
    why = f" ({_one_line(error.__cause__)})" if error.__cause__ is not None else ""
    return f"{where}, and {_host()} cannot be reached{why}: connect to the network and load again, {or_folder}."


def _explain(name: str, revision: str | None, error: Exception) -> str:
    """Return one line for an error of the library: what is wrong and what to do."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{name}"
    steps = " Pythia's are 'step0' … 'step143000'." if PYTHIA.fullmatch(name) else ""
    explanations: tuple[tuple[type[Exception], str], ...] = (
        (
            errors.GatedRepoError,
            f"{name!r} is gated, and you have no access yet: accept its terms at {page}, {LOGIN}, and load again.",
        ),
        (
            errors.RevisionNotFoundError,
            f"{name!r} has no revision {revision!r}; {page}/tree/main lists its branches and tags.{steps}",
        ),
        (
            errors.RepositoryNotFoundError,
            f"there is no folder {name!r} here, and no model of that name at {_host()}, or it is private: check the "
            f"spelling, or {LOGIN}.",
        ),
        (
            errors.HFValidationError,
            f"{name!r} is no folder that exists, and no name of a model on the hub, which is 'owner/name'.",
        ),
        (
            errors.EntryNotFoundError,
            f"{name!r} cannot be fetched whole: {_one_line(error)}; see {page}/tree/main.",
        ),
        (
            PermissionError,
            f"the cache {constants.HF_HUB_CACHE} cannot be written to ({_one_line(error)}): set HF_HOME.",
        ),
    )
    for kind, text in explanations:  # the special kinds come first: a gated repository is also one that is not found
        if isinstance(error, kind):
            return text
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(name, error.response.status_code)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {name!r} does not fit into {constants.HF_HUB_CACHE}. Free space, or set HF_HOME."
    return f"the download of {name!r} was interrupted ({_one_line(error)}): load again, it goes on where it stopped."


def _refusal(name: str, status: int) -> str:
    if status in (401, 403):
        return f"{_host()} refuses access to {name!r} (status {status}): {LOGIN}, with a token that may read it."
    if status == 429:
        return f"{_host()} has had too many requests from here (status 429): wait a while and load {name!r} again."
    return f"{_host()} failed to answer for {name!r} (status {status}): load again later."


def _host() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT.removeprefix("https://")


def _one_line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":. ")
    return text if len(text) <= 160 else text[:157] + "..."

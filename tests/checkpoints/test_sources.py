"""Finding models: folders, short names, the cache, a hub; and one line for everything that can go wrong on the way."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants, errors
from safetensors.torch import save, save_file

from refractor.base.errors import ArgumentError, CheckpointError, StoreError, UnknownNameError
from refractor.checkpoints.aliases import (
    ALIASES,
    PYTHIA_STEPS,
    SINGLE,
    SIZED,
    checkpoint_revision,
    other_names,
    resolve_name,
)
from refractor.checkpoints.hub import download
from refractor.checkpoints.sources import ModelFiles, open_folder, open_model
from refractor.checkpoints.weight_files import InMemoryWeights

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40


def make_model(folder: Path, value: float = 1, config: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"model_type": "gpt2"} if config is None else config)
    (folder / "config.json").write_text(text, encoding="utf-8")
    save_file({"w": torch.full((2,), float(value))}, folder / "model.safetensors")
    return folder


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


# short names


def test_short_names_mean_repositories_whatever_their_case() -> None:
    wanted = {
        "gpt2": "openai-community/gpt2",
        "gpt2-small": "openai-community/gpt2",
        "GPT2-XL": "openai-community/gpt2-xl",
        "distilgpt2": "distilbert/distilgpt2",
        "pythia-14m": "EleutherAI/pythia-14m",
        "pythia-6.9b-deduped": "EleutherAI/pythia-6.9b-deduped",
        "gpt-neo-125M": "EleutherAI/gpt-neo-125m",
        "gpt-neo-1.3B": "EleutherAI/gpt-neo-1.3B",
        "gpt-j-6B": "EleutherAI/gpt-j-6b",
        "gpt-neox-20b": "EleutherAI/gpt-neox-20b",
        "opt-350m": "facebook/opt-350m",
        "bloom-560m": "bigscience/bloom-560m",
        "falcon-7b-instruct": "tiiuae/falcon-7b-instruct",
        "llama-7b": "huggyllama/llama-7b",
        "Llama-2-7b": "meta-llama/Llama-2-7b-hf",
        "llama-2-13b-chat": "meta-llama/Llama-2-13b-chat-hf",
        "llama-3-8b": "meta-llama/Meta-Llama-3-8B",
        "llama-3.1-8b-instruct": "meta-llama/Llama-3.1-8B-Instruct",
        "llama-3.2-1b": "meta-llama/Llama-3.2-1B",
        "mistral-7b-instruct": "mistralai/Mistral-7B-Instruct-v0.1",
        "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
        "qwen2-0.5b": "Qwen/Qwen2-0.5B",
        "qwen2.5-1.5b-instruct": "Qwen/Qwen2.5-1.5B-Instruct",
        "qwen3-0.6b": "Qwen/Qwen3-0.6B",
        "gemma-2b-it": "google/gemma-2b-it",
        "gemma-2-2b": "google/gemma-2-2b",
        "gemma-3-1b-it": "google/gemma-3-1b-it",
        "phi-1.5": "microsoft/phi-1_5",
        "phi-3": "microsoft/Phi-3-mini-4k-instruct",
        "stablelm-2-1.6b": "stabilityai/stablelm-2-1_6b",
        "olmo-2-1b": "allenai/OLMo-2-0425-1B",
        "smollm2-135m": "HuggingFaceTB/SmolLM2-135M",
        "SmolLM2-1.7B-Instruct": "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        "tiny-stories-1M": "roneneldan/TinyStories-1M",
        "tiny-stories-instruct-33M": "roneneldan/TinyStories-Instruct-33M",
    }
    assert {name: resolve_name(name) for name in wanted} == wanted
    assert resolve_name("Someone/Some-Model") == "Someone/Some-Model"


def test_the_table_of_names_is_well_formed() -> None:
    assert len(ALIASES) > 130
    assert len(ALIASES) == len(SINGLE) + sum(len(sizes.split()) for _, _, sizes in SIZED), "a short name comes twice"
    for short, repository in ALIASES.items():
        assert short == short.lower()
        assert re.fullmatch(r"[\w.-]+", short)
        assert re.fullmatch(r"[\w-]+/[\w.-]+", repository)
    assert not [short for short in ALIASES if "solu" in short]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    for name, near in (("gpt2-smal", "gpt2-small"), ("pythia70m", "pythia-70m"), ("Smollm-135m", "smollm2-135m")):
        with pytest.raises(
            UnknownNameError, match=f"no model is called '{name}'.*'{near}'.*'owner/name'; a folder"
        ) as raised:
            open_model(name)
        assert "\n" not in str(raised.value)
    with pytest.raises(ArgumentError, match="the name of a model is empty"):
        open_model("")


def test_renamed_repositories_know_each_other() -> None:
    assert other_names("gpt2") == ("openai-community/gpt2",)
    assert other_names("EleutherAI/gpt-neo-125m") == ("EleutherAI/gpt-neo-125M",)
    assert other_names("someone/else") == ()


def test_training_steps_of_pythia() -> None:
    assert len(PYTHIA_STEPS) == 154
    assert PYTHIA_STEPS[:12] == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    assert PYTHIA_STEPS[-1] == 143_000
    assert checkpoint_revision("EleutherAI/pythia-1.4b-deduped", value=512) == "step512"
    assert checkpoint_revision("eleutherai/pythia-14m-seed3", value=0) == "step0"
    assert checkpoint_revision("EleutherAI/pythia-70m", index=0) == "step0"
    assert checkpoint_revision("EleutherAI/pythia-70m", index=11) == "step1000"
    assert checkpoint_revision("EleutherAI/pythia-70m", index=-154) == "step0"


@pytest.mark.parametrize(
    ("name", "index", "value", "error"),
    [
        ("openai-community/gpt2", 1, None, "only the Pythia suite .* has published steps that are known here; 'openai"),
        ("stanford-crfm/alias-gpt2-small-x21", None, 100, "The stanford-crfm models are not supported."),
        ("EleutherAI/pythia-70m-v0", None, 1000, "only the Pythia suite"),
        ("EleutherAI/pythia-70m", None, None, "a place.; neither came."),
        ("EleutherAI/pythia-70m", 1, 1, "a place.; both came."),
        ("EleutherAI/pythia-70m", 154, None, "checkpoint_index must be an integer from -154 to 153; 154 came."),
        ("EleutherAI/pythia-70m", None, 1500, "1500 came. The nearest are 1000 and 2000."),
        ("EleutherAI/pythia-70m", None, 144_000, "144000 came. The nearest are 143000 and 142000."),
        ("EleutherAI/pythia-70m", None, -1, "checkpoint_value must be an integer of at least 0; -1 came."),
        ("EleutherAI/pythia-70m", None, True, "checkpoint_value must be an integer of at least 0; True"),
    ],
)
def test_steps_that_do_not_exist(name: str, index: int | None, value: int | None, error: str) -> None:
    with pytest.raises(ArgumentError, match=error):
        checkpoint_revision(name, index, value)


# folders


def test_a_folder_gives_its_configuration_and_weights(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "mine", 3, {"model_type": "llama", "rope_theta": 1e4})
    for way in (folder, str(folder)):
        files = open_model(way)
        assert files.config == {"model_type": "llama", "rope_theta": 1e4}
        assert files.weights.read("w").tolist() == [3, 3]
        assert (files.folder, files.name, files.revision) == (folder, "mine", None)
    assert open_folder(str(folder)).name == "mine"


def test_a_folder_in_the_working_directory_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_model(tmp_path / "gpt2", 5)
    make_model(tmp_path / "owner" / "name", 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_model("gpt2").weights.read("w")[0] == 5
    assert open_model("owner/name").weights.read("w")[0] == 6
    assert open_model("~/gpt2").weights.read("w")[0] == 5


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "config.json").write_text("{}", encoding="utf-8")

    def add(value: float, file: str, index: str | None = None) -> None:
        tensors = {"w": torch.full((2,), value)}
        (folder / file).unlink(missing_ok=True)
        if file.endswith(".bin"):
            torch.save(tensors, folder / file)
        else:
            save_file(tensors, folder / file)
        if index is not None:
            (folder / index).write_text(json.dumps({"weight_map": {"w": file}}), encoding="utf-8")

    add(1, "part.bin", "pytorch_model.bin.index.json")
    assert open_folder(folder).weights.read("w")[0] == 1
    add(2, "pytorch_model.bin")
    assert open_folder(folder).weights.read("w")[0] == 2
    add(3, "part.safetensors", "model.safetensors.index.json")
    assert open_folder(folder).weights.read("w")[0] == 3
    add(4, "model.safetensors")
    assert open_folder(folder).weights.read("w")[0] == 4


ADAPTER = '{"base_model_name_or_path": "gpt2"}'


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ([], "holds no config.json, so it is no folder of a model: one has config.json and model.safetensors."),
        (["model.safetensors"], "holds no config.json, so it is no folder of a model"),
        (
            ["adapter_config.json", "adapter_model.safetensors"],
            "config.json: it is an adapter .LoRA. of 'gpt2', not a model.",
        ),
        (
            ["b.gguf", "a.gguf"],
            r"holds no config.json, only GGUF: load one of its files by its path, such as '.*a.gguf'.",
        ),
        (
            ["snapshots/abc/config.json"],
            "it is a repository in a cache. Load the model by its hub name, or give .*abc.",
        ),
        (
            ["x.incomplete"],
            "holds no config.json: its download is not finished .'x.incomplete'.. The download may have",
        ),
        (
            ["consolidated.00.pth", "params.json"],
            "Its weights are in Meta's or Mistral's own format .'consolidated.00.pth'.",
        ),
        (
            ["config.json"],
            "holds config.json, but no weights that are read .model.safetensors, its index, or .bin.. The down",
        ),
        (["config.json", "m.gguf"], "or .bin., only GGUF: load one of its files by its path, such as '.*m.gguf'."),
        (
            ["config.json", "tf_model.h5"],
            "Its weights are in TensorFlow format .'tf_model.h5'., which is not read: convert",
        ),
        (
            ["config.json", "flax_model.msgpack", "rust_model.ot"],
            "Its weights are in Flax format .'flax_model.msgpack'.",
        ),
        (
            ["config.json", "adapter_config.json"],
            "it is an adapter .LoRA. of 'gpt2', not a model. Merge it into its model",
        ),
        (
            ["config.json", "model.safetensors.incomplete"],
            "its download is not finished .'model.safetensors.incomplete'.",
        ),
        (
            ["config.json", ".cache/huggingface/download/ab.12.incomplete"],
            "is not finished .'ab.12.incomplete'.. The downl",
        ),
        (
            ["config.json", "model-00001-of-00002.safetensors"],
            "'model-00001-of-00002.safetensors' are there, but no index says",
        ),
    ],
)
def test_a_folder_without_a_model_says_what_it_is(files: list[str], error: str, tmp_path: Path) -> None:
    touch(tmp_path, *files)
    for file in files:
        if file.endswith("config.json"):
            (tmp_path / file).write_text(ADAPTER, encoding="utf-8")
    with pytest.raises(CheckpointError, match=error) as raised:
        open_model(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"[]", "config.json should be a JSON object; a list came."),
        (b"{'a': 1}", "config.json is no JSON"),
        (b"", "config.json is no JSON"),
        (b'{"eps": NaN}', "config.json has the value NaN"),
        (b'{"n_layer": 1, "n_layer": 2}', "config.json has the key 'n_layer' twice"),
        (b"\xff\xff", "config.json is no JSON"),
        (b'{"a": "' + b"x" * 10_000_000 + b'"}', "config.json has more than 10.0 MB"),
    ],
)
def test_a_configuration_is_read_strictly(text: bytes, error: str, tmp_path: Path) -> None:
    (make_model(tmp_path) / "config.json").write_bytes(text)
    with pytest.raises(StoreError, match=error):
        open_model(tmp_path)


def test_a_link_to_a_blob_that_is_gone_is_no_missing_file(tmp_path: Path) -> None:
    make_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").symlink_to("../../blobs/abc")
    torch.save({"w": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(StoreError, match="model.safetensors points to a file that is not there any more. The download"):
        open_model(tmp_path)


def test_paths_that_are_no_folders(tmp_path: Path) -> None:
    make_model(tmp_path)
    for path, error in (
        (tmp_path / "none", "there is no folder .*none; give the path of an existing one, or the name of a model"),
        (str(tmp_path / "none"), "there is no folder .*none"),
        ("./none", "there is no folder none"),
        ("~/none/such", "there is no folder .*none.such"),
        ("a/b/c", "there is no folder a.b.c"),
        ("..\\models\\x", "there is no folder"),
        ("a\0/b/c", "there is no folder"),
        (
            tmp_path / "model.safetensors",
            "is a file; give the folder that holds it together with config.json, or a .gguf",
        ),
        (str(tmp_path / "config.json"), "is a file; give the folder"),
    ):
        with pytest.raises(CheckpointError, match=error):
            open_model(path)
    with pytest.raises(CheckpointError, match="there is no folder"):
        open_folder(tmp_path / "none")
    with pytest.raises(
        ArgumentError, match="revision is for models of the hub; .* is a path, and revision='main' came."
    ):
        open_model(tmp_path, "main")


def test_gguf_files_go_to_their_own_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Path] = []

    def open_gguf(path: Path, dtype: torch.dtype) -> ModelFiles:
        given.append(path)
        return ModelFiles({}, InMemoryWeights({}), None, path.stem)

    monkeypatch.setitem(sys.modules, "refractor.checkpoints.gguf_file", SimpleNamespace(open_gguf=open_gguf))
    assert open_model(tmp_path / "a.gguf").name == "a"
    assert open_model("dir/b.GGUF").name == "b"
    assert given == [tmp_path / "a.gguf", Path("dir/b.GGUF")]
    make_model(tmp_path / "folder.gguf")
    assert open_model(tmp_path / "folder.gguf").name == "folder.gguf"
    assert len(given) == 2


# the cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, offline."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def put(cache: Path, name: str, commit: str = COMMIT, ref: str = "main", value: float = 1) -> Path:
    """Put a model into a cache, as the library lays it out: links to blobs."""
    repository = cache / ("models--" + name.replace("/", "--"))
    made = make_model(cache.parent / "made", value)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / ref).write_text(commit, encoding="utf-8")
    for file in ("config.json", "model.safetensors"):
        blob = hashlib.sha256((made / file).read_bytes()).hexdigest()
        (repository / "blobs" / blob).write_bytes((made / file).read_bytes())
        (snapshot / file).symlink_to(f"../../blobs/{blob}")
    return snapshot


def test_what_is_in_the_cache_is_found_offline(cache: Path) -> None:
    snapshot = put(cache, "roneneldan/TinyStories-1M", value=7)
    put(cache, "roneneldan/TinyStories-1M", OTHER_COMMIT, "old", value=8)
    files = open_model("tiny-stories-1M")
    assert files.weights.read("w")[0] == 7
    assert (files.name, files.revision, files.folder) == ("roneneldan/TinyStories-1M", None, snapshot)
    assert open_model("roneneldan/TinyStories-1M", "old").weights.read("w")[0] == 8
    assert open_model("roneneldan/TinyStories-1M", OTHER_COMMIT).revision == OTHER_COMMIT


def test_a_renamed_model_is_found_in_the_cache_under_its_old_name(cache: Path) -> None:
    put(cache, "gpt2", value=9)
    files = open_model("gpt2-small")
    assert files.weights.read("w")[0] == 9
    assert files.name == "openai-community/gpt2"


def test_offline_and_not_in_the_cache_is_one_line(cache: Path) -> None:
    put(cache, "roneneldan/TinyStories-1M")
    with pytest.raises(CheckpointError) as raised:
        open_model("gpt2")
    assert str(raised.value) == (
        f"'openai-community/gpt2' is not in the cache ({cache}), and HF_HUB_OFFLINE forbids to fetch it: unset that "
        "variable and load again, or give the path of a folder that holds the model."
    )
    with pytest.raises(CheckpointError, match=r"'roneneldan/TinyStories-1M' \(revision 'step5'\) is not in the cache"):
        open_model("roneneldan/TinyStories-1M", "step5")


def test_half_of_a_model_in_the_cache(cache: Path) -> None:
    snapshot = put(cache, "a/b")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(
        CheckpointError, match="but no weights .*: its repository has none, or they were not fetched. The down"
    ):
        open_model("a/b")
    touch(cache / "models--a--b" / "blobs", "abcdef.incomplete")
    with pytest.raises(
        CheckpointError, match="its download is not finished .'abcdef.incomplete'.. The download may have"
    ):
        open_model("a/b")
    (snapshot / "config.json").unlink()
    (cache / "models--a--b" / "blobs" / "abcdef.incomplete").unlink()
    with pytest.raises(CheckpointError, match="holds no config.json, nor has its repository: one has"):
        open_model("a/b")


def test_a_list_of_what_is_missing_in_the_cache_is_believed(cache: Path) -> None:
    """Newer versions of the library write down which files a repository has."""
    snapshot = put(cache, "a/b")
    (snapshot / "model.safetensors").unlink()
    trees = cache / "models--a--b" / "trees"
    trees.mkdir()
    listing = {name: {"size": 1, "blob_id": "0" * 40} for name in ("config.json", "model.safetensors")}
    (trees / f"{COMMIT}.json").write_text(json.dumps({"format_version": 1, "files": listing}), encoding="utf-8")
    line = r"'a/b' is only in part in the cache \(.*\), and HF_HUB_OFFLINE forbids to fetch it: unset that variable and"
    with pytest.raises(CheckpointError, match=line):
        open_model("a/b")


@pytest.mark.slow
def test_the_variables_of_the_environment_are_respected(tmp_path: Path) -> None:
    put(tmp_path / "hub", "openai-community/gpt2", value=4)
    code = "from refractor.checkpoints.sources import open_model; print(open_model('gpt2').weights.read('w')[0].item())"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (run.stdout, run.stderr) == ("4.0\n", "")


# a hub of our own, spoken to over the loopback interface by the real library


class Hub(ThreadingHTTPServer):
    """Answers as the hub does, for repositories that are given as file contents."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.failures: dict[str, tuple[int, str]] = {}
        self.fetched: list[str] = []


class Answer(BaseHTTPRequestHandler):
    @property
    def hub(self) -> Hub:
        return cast("Hub", self.server)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's word
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        match = re.fullmatch(r"/(?:api/models/)?(\w+/[\w-]+)(/.*)?", path)
        name, rest = (match[1], match[2] or "") if match else ("", "")
        files = self.hub.repositories.get(name, {})
        what = rest.split("/")[1] if rest else "revision"
        if name in self.hub.failures and (what == "resolve" or self.hub.failures[name][1] != "GatedRepo"):
            self.say(self.hub.failures[name][0], b"", {"X-Error-Code": self.hub.failures[name][1]})
        elif not files:
            self.say(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif what in {"revision", "resolve", "tree"} and [*rest.split("/"), "", "", ""][2] not in {
            "main",
            COMMIT,
            "",
        }:
            self.say(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif what == "revision":
            self.say(200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode())
        elif what == "tree":
            listing = [{"type": "file", "path": f, "size": len(c), "oid": "0" * 40} for f, c in files.items()]
            self.say(200, json.dumps(listing).encode())
        else:
            file = rest.split("/", 3)[3]
            if self.command == "GET":
                self.hub.fetched.append(file)
            self.say(200, files[file], {"ETag": f'"{hashlib.sha256(files[file]).hexdigest()}"'})

    def say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub_server:
        endpoint = f"http://127.0.0.1:{hub_server.server_port}"
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        thread = threading.Thread(target=hub_server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hub_server
        huggingface_hub.close_session()
        hub_server.shutdown()
        thread.join()


def pickled(folder: Path, value: float) -> bytes:
    folder.mkdir(exist_ok=True)
    torch.save({"w": torch.full((2,), value)}, folder / "x")
    return (folder / "x").read_bytes()


def weights_of(value: float) -> bytes:
    return save({"w": torch.full((2,), value)})


def test_only_what_is_needed_is_fetched_and_only_once(server: Hub, cache: Path) -> None:
    server.repositories["a/b"] = {
        "config.json": b'{"model_type": "gpt2"}',
        "tokenizer.json": b"{}",
        "model.safetensors": weights_of(2),
        "pytorch_model.bin": b"large",
        "consolidated.safetensors": b"the same again",
        "model.fp16.safetensors": b"the same again",
        "onnx/config.json": b"{}",
        "modeling_x.py": b"import os",
        "README.md": b"#",
    }
    files = open_model("a/b")
    assert files.weights.read("w").tolist() == [2, 2]
    assert files.config == {"model_type": "gpt2"}
    assert sorted(server.fetched) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert open_model("a/b").folder == files.folder == cache / "models--a--b" / "snapshots" / COMMIT
    assert len(server.fetched) == 3


def test_configuration_and_tokenizer_alone(server: Hub) -> None:
    server.repositories["a/b"] = {"config.json": b"{}", "vocab.json": b"{}", "model.safetensors": weights_of(2)}
    folder = download("a/b", only_config=True)
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "vocab.json"]


def test_shards_are_fetched_as_the_index_names_them(server: Hub) -> None:
    index = {"weight_map": {"w": "model_00001-of-00001.safetensors"}}
    server.repositories["a/b"] = {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model_00001-of-00001.safetensors": weights_of(3),
        "model-00001-of-00009.safetensors": b"of another variant",
    }
    assert open_model("a/b").weights.read("w")[0] == 3
    assert "model-00001-of-00009.safetensors" not in server.fetched


def test_pickles_are_fetched_when_there_is_nothing_better(server: Hub, tmp_path: Path) -> None:
    server.repositories["a/b"] = {"config.json": b"{}", "pytorch_model.bin": pickled(tmp_path / "p", 4)}
    assert open_model("a/b").weights.read("w")[0] == 4
    index = json.dumps({"weight_map": {"w": "part-1.bin"}}).encode()
    server.repositories["a/c"] = {
        "config.json": b"{}",
        "pytorch_model.bin.index.json": index,
        "part-1.bin": pickled(tmp_path / "p", 5),
    }
    assert open_model("a/c").weights.read("w")[0] == 5


def test_an_index_with_a_path_fetches_nothing(server: Hub) -> None:
    index = json.dumps({"weight_map": {"w": "../../evil.safetensors"}}).encode()
    server.repositories["a/b"] = {"config.json": b"{}", "model.safetensors.index.json": index}
    with pytest.raises(CheckpointError, match="only plain names of .safetensors files"):
        open_model("a/b")


def test_repositories_without_weights_or_configuration(server: Hub) -> None:
    server.repositories["a/gguf"] = {"model-q4.gguf": b"GGUF", "README.md": b"#"}
    server.repositories["a/flax"] = {"config.json": b"{}", "flax_model.msgpack": b"x"}
    server.repositories["a/lora"] = {"adapter_config.json": ADAPTER.encode(), "adapter_model.safetensors": b"x"}
    with pytest.raises(CheckpointError):
        open_model("a/gguf")
    with pytest.raises(CheckpointError, match="its repository has none, or they were not fetched"):
        open_model("a/flax")
    with pytest.raises(CheckpointError, match="it is an adapter .LoRA. of 'gpt2', not a model."):
        open_model("a/lora")


def test_what_the_hub_refuses_is_said_in_one_line(server: Hub) -> None:
    server.repositories.update(
        {name: {"config.json": b"{}"} for name in ("a/gated", "a/b", "EleutherAI/pythia-70m", "a/no")}
    )
    server.failures.update({"a/gated": (403, "GatedRepo"), "a/no": (403, "")})
    for name, revision, error in (
        (
            "a/gated",
            None,
            "'a/gated' is gated, and you have no access yet: accept its terms at http://127.0.0.1:.*/a/gated, log",
        ),
        (
            "a/none",
            None,
            "there is no folder 'a/none' here, and no model of that name at http://127.*, or it is private: check",
        ),
        ("a/b", "v2", "'a/b' has no revision 'v2'; http://127.*/a/b/tree/main lists its branches and tags.$"),
        ("pythia-70m", "step5", "no revision 'step5'; .* tags. Pythia's are 'step0' … 'step143000'."),
        ("a/b c", None, "'a/b c' is no folder that exists, and no name of a model on the hub, which is 'owner/name'."),
        ("a/no", None, "'a/no'"),
    ):
        with pytest.raises(CheckpointError, match=error) as raised:
            open_model(name, revision)
        assert "\n" not in str(raised.value)


def test_no_network_is_said_in_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    try:
        with pytest.raises(CheckpointError) as raised:
            open_model("a/b")
    finally:
        huggingface_hub.close_session()
    assert re.fullmatch(
        r"'a/b' is not in the cache \(.*hub\), and http://127.0.0.1:9 cannot be reached \(Connect\w*: .*\): connect to the "
        r"network and load again, or give the path of a folder that holds the model.",
        str(raised.value),
    )


# what the library may raise besides


def response(status: int) -> Any:
    return SimpleNamespace(headers={}, request=None, status_code=status)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            errors.GatedRepoError("a\nb", response=response(403)),
            "'a/b' is gated, and you have no access yet: accept its terms",
        ),
        (
            errors.RepositoryNotFoundError("a\nb", response=response(404)),
            "there is no folder 'a/b' here, and no model of that",
        ),
        (
            errors.RevisionNotFoundError("a\nb", response=response(404)),
            "'a/b' has no revision 'r'; https://huggingface.co/a/b",
        ),
        (
            errors.RemoteEntryNotFoundError("a\nb", response=response(404)),
            "'a/b' cannot be fetched whole: RemoteEntryNotFound",
        ),
        (errors.EntryNotFoundError("a\nb"), "'a/b' cannot be fetched whole: EntryNotFoundError: a b; see https://hugg"),
        (
            errors.HfHubHTTPError("a\nb", response=response(401)),
            "huggingface.co refuses access to 'a/b' (status 401): log in",
        ),
        (
            errors.HfHubHTTPError("a\nb", response=response(429)),
            "huggingface.co has had too many requests from here (status",
        ),
        (
            errors.HfHubHTTPError("a\nb", response=response(503)),
            "huggingface.co failed to answer for 'a/b' (status 503): load",
        ),
        (
            errors.HFValidationError("a\nb"),
            "'a/b' is no folder that exists, and no name of a model on the hub, which is",
        ),
        (
            errors.FileMetadataError("a\nb"),
            "the download of 'a/b' was interrupted (FileMetadataError: a b): load again, it",
        ),
        (
            ConnectionResetError("a\nb"),
            "the download of 'a/b' was interrupted (ConnectionResetError: a b): load again, it go",
        ),
        (
            getattr(errors, "HTTPError", OSError)("peer closed\nconnection"),
            "the download of 'a/b' was interrupted (HTTPError",
        ),
        (
            RuntimeError("Data processing error\n" * 99),
            "the download of 'a/b' was interrupted (RuntimeError: Data processing",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: 'a/b' does not fit into "),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "the cache "),
        (errors.OfflineModeIsEnabled("x"), "the download of 'a/b' was interrupted"),
    ],
)
def test_every_error_of_the_library_becomes_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CheckpointError) as raised:
        open_model("a/b", "r")
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
    assert raised.value.__cause__ is error


def test_being_cut_off_in_the_middle_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    snapshot = put(cache, "a/b")

    def first_works(name: str, revision: str | None, allow_patterns: list[str], **_: object) -> str:
        calls.append([name, str(revision), *allow_patterns])
        if len(calls) == 1:
            return str(snapshot)
        raise errors.LocalEntryNotFoundError("gone") from TimeoutError("timed out")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", first_works)
    with pytest.raises(
        CheckpointError,
        match=r"'a/b' \(revision 'r'\) is only in part in the cache \(.*huggingface.co cannot be reached \(TimeoutError: timed out\): co",
    ):
        open_model("a/b", "r")
    assert calls[0][:2] == ["a/b", "r"]
    assert calls[1] == ["a/b", COMMIT, "config.json", "model.safetensors"], (
        "weights are pinned to the commit of the config"
    )


def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(huggingface_hub, "snapshot_download", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_model("a/b")

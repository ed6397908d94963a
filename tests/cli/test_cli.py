"""The command line as a person and as a program meet it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_families as tiny
from safetensors.torch import load_file, save_file

from refractor.cli import commands, main
from refractor.tasks import ModularAddition
from refractor.training import open_run

SMALL = ["--p", "5", "--steps", "20", "--d-model", "8", "--n-heads", "2", "--d-mlp", "8", "--fraction", "0.7"]


def refractor(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "refractor.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_help_names_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in ("report", "train", "measure", "0 done", "1 something failed", "2 bad input", "130 interrupted"):
        assert word in text


def test_help_loads_nothing_heavy() -> None:
    code = "import sys\nfrom refractor.cli import main\nmain.run(['--help'])\nprint('torch' in sys.modules, 'refractor.lab' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1].endswith("False")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["train", "modular-additon", *SMALL, "--out", "{tmp}/run"], 2, "Nearest: 'modular-addition'"),
        (["train", "modular-addition", "--p", "1", "--out", "{tmp}/run"], 2, "p must be an integer from 2 to"),
        (["train", "modular-addition", "--p", "x", "--out", "{tmp}/run"], 2, "'--p'"),
        (["train", "modular-addition", "--out", "{tmp}/run"], 2, "Missing option '--p'"),
        (
            ["train", "modular-addition", *SMALL[:-1], "2", "--out", "{tmp}/run"],
            2,
            "fraction must be a fraction above 0",
        ),
        (["train", "modular-addition", *SMALL[:-1], "0.001", "--out", "{tmp}/run"], 2, "leaves nothing to train on"),
        (
            ["train", "modular-addition", *SMALL, "--lr", "-1", "--out", "{tmp}/run"],
            2,
            "lr must be a finite number above 0",
        ),
        (
            ["train", "modular-addition", *SMALL, "--n-heads", "3", "--out", "{tmp}/run"],
            2,
            "d_model must be a multiple",
        ),
        (["train", "modular-addition", *SMALL, "--out", "{tmp}/file"], 1, "cannot be used as a run folder"),
        (["measure", "modular-adition-113"], 1, "Bundled: 'modular-addition-113'"),
        (["measure", "{tmp}"], 1, "is a folder without run.json"),
        (["report", "modular-addition-113@7", "--out", "{tmp}/page.html"], 2, "there is no snapshot of step 7"),
        (["report", "--out", "{tmp}"], 1, "is a folder; --out needs the name of a page"),
        (["report", "--out", "{tmp}/file/page.html"], 1, "could not be written"),
        (["universality", "modular-adition"], 1, "Bundled: 'modular-addition-113'"),
        (["universality", "{tmp}"], 1, "is a folder without run.json"),
        (["universality", "composition-S4", "--format", "pdf"], 2, "no form of a table is called 'pdf'"),
        (["universality", "composition-S4", "--out", "{tmp}/file/table.csv"], 1, "could not be written"),
        (["universality"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_errors_are_one_line_on_stderr_with_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str
) -> None:
    (tmp_path / "file").write_text("")
    assert main.run([argument.replace("{tmp}", str(tmp_path)) for argument in arguments]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert text in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("refractor: ")
    assert not (tmp_path / "run").exists()


def test_debug_shows_where_an_error_comes_from() -> None:
    run = refractor("--debug", "measure", "nothing")
    assert "Traceback" in run.stderr
    assert run.returncode == 1


def test_train_measure_and_the_same_command_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["train", "modular-addition", *SMALL, "--out", str(out), "--seed", "4"]
    first = refractor(*command)
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == str(out)
    assert "20/20" in first.stderr
    run = open_run(out)
    assert (run.task, run.model_config.seed) == (ModularAddition(5), 4)
    assert (run.training.steps, run.training.fraction) == (20, 0.7)
    again = refractor(*command, "--quiet")
    assert again.returncode == 0
    assert again.stderr == ""
    other = refractor(*command, "--lr", "0.5")
    assert other.returncode == 2
    assert "training.lr = 0.001, but 0.5 came" in other.stderr
    measured = refractor("measure", str(out), "--json")
    assert measured.returncode == 0, measured.stderr
    values = json.loads(measured.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert values["verdict"] == "no algorithm found"
    assert values["step"] == 20


def test_measure_prints_every_measure_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["measure", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["finding"].startswith("Keeping only frequencies {")
    names = [row["name"] for row in values["measures"]]
    assert len(names) == len(set(names)) > 30
    assert all(set(row) == {"name", "value", "control", "unit", "meaning"} for row in values["measures"])
    assert main.run(["measure"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m refractor.cli.main measure --json | head -c 10"
    run = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert "Traceback" not in run.stderr
    assert len(run.stdout) == 10


def test_report_prints_the_path_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main.run(["report", "--out", str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert "Keeping only frequencies {" in page.read_text(encoding="utf-8")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"refractor {commands.version()}\n"


def test_verify_says_what_holds_and_fails_with_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.save("llama", tmp_path / "model")
    assert main.run(["verify", str(tmp_path / "model")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("model, stored as float32)")
    assert [line.split()[0] for line in lines[1:]] == ["holds"] * 6
    assert main.run(["verify", str(tmp_path / "model"), "--processed", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is True
    assert "fold_ln" in found["model"]
    weights = load_file(tmp_path / "model" / "model.safetensors")
    weights["model.layers.1.self_attn.o_proj.weight"].zero_()
    save_file(weights, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    assert main.run(["verify", str(tmp_path / "model")]) == 1
    out = capsys.readouterr().out
    assert re.search(r"FAILS +editing any hook point moves the logits +'blocks.1.", out)
    assert out.count("FAILS") == 1


def test_verify_of_what_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["verify", "gpt9"]) == 2
    assert capsys.readouterr().err.startswith("refractor: no model is called 'gpt9'. Nearest: 'gpt2'")
    assert main.run(["verify", "modular-addition-113"]) == 0
    assert "not run logits agree with transformers" in capsys.readouterr().out


def test_a_group_network_is_measured_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["measure", "composition-S4", "--json"]) == 0
    values = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (values["task"], values["group"], values["order"], values["operation"]) == (
        "composition",
        "S4",
        24,
        "product",
    )
    assert "p" not in values
    assert values["verdict"].startswith("computes x · y in S4")
    names = [row["name"] for row in values["measures"]]
    assert len(names) == len(set(names)) > 100
    assert {"total_hidden_restricted_loss", "percent_x_embed_standard_rep", "neurons.pure.x"} <= set(names)
    assert main.run(["measure", "composition-S4/step-0"]) == 0
    text = capsys.readouterr().out
    assert "no algorithm found" in text
    assert "total_hidden_restricted_loss" in text


def test_the_table_of_the_study_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["universality", "composition-S4"]) == 0
    shown = capsys.readouterr()
    assert "(as learned)" in shown.out
    assert shown.err == ""
    out = tmp_path / "new" / "table.csv"
    assert main.run(["universality", "composition-S4", "--format", "csv", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text(encoding="utf-8").startswith("name,group,architecture,seed,")

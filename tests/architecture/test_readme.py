"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_examples_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    promised = re.findall(r"^print\(.*#\s*(.*)$", "\n".join(blocks), re.MULTILINE)
    assert promised[:2] == ["37", "torch.Size([1, 4, 3, 3])"]
    assert len(promised) == 6
    assert lines[: len(promised)] == promised
    assert lines[len(promised)].startswith("S of [1, 4, 114, 113] from 4 factors: ")
    assert lines[-4].startswith("Keeping only frequencies {")
    assert lines[-3].startswith("computes a + b mod 113 with the frequencies {")
    assert lines[-2].startswith("computes x · y in S5 with the irreps {")
    assert lines[-1].startswith("Irreps(SL(2,7): trivial, ")
    assert names["edited"] is not None


def test_the_commands_exist() -> None:
    text = README.read_text(encoding="utf-8")
    makefile = README.with_name("Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make (\w+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

"""The table of the study of universality: the paper's digits where they are right, corrected ones where they are not."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from group_pages import composed

from refractor.base.errors import ArgumentError, StoreError, UnknownNameError
from refractor.lab import load_network
from refractor.lab.composition.published_figures import FAULTS, read_published_figures
from refractor.lab.composition.universality import (
    MEASURES,
    WITH_MEAN,
    StudyRow,
    StudyTable,
    differs,
    study_row,
    study_table,
    study_table_of,
)
from refractor.lab.published import read_published_run
from refractor.report.universality import COLUMNS, escape_latex, notes, parts, short_irrep, universality_table
from refractor.tasks import GroupComposition, ModularMultiplication

TABLES = Path(__file__).parents[4] / "shared" / "data" / "paper_tables"
HEADS = {
    "test_loss": "Test Loss",
    "total_hidden_excluded_loss": "Exc. Loss",
    "total_hidden_restricted_loss": "Res. Loss",
    "percent_logits_explained": "Logit FVE",
    "percent_unembed_explained": "$W_U$ FVE",
    "percent_hidden_explained": "MLP FVE",
    "percent_hidden_xy_explained": r"MLP $\rho(ab)$ FVE",
}
"""Columns of the paper's tables that both architectures have."""

CORRECTED = {
    "A5_MLP_seed1": {
        "total_hidden_restricted_loss": "6.57e-07",
        "total_hidden_excluded_loss": "7.56",
        "percent_hidden_explained": "85.17%",
        "percent_hidden_xy_explained": "9.55%",
        "percent_logits_explained": "53.43%",
        "percent_unembed_explained": "95.10%",
        WITH_MEAN: "6.68e-07",
    },
    "A5_T_seed1": {
        "total_hidden_restricted_loss": "1.40e-08",
        "total_hidden_excluded_loss": "16.39",
        "percent_hidden_explained": "81.03%",
        "percent_logits_explained": "70.28%",
        "percent_unembed_explained": "99.98%",
        WITH_MEAN: "1.67e-08",
    },
    "C113_MLP_seed1": {
        "total_hidden_restricted_loss": "2.19e-06",
        "total_hidden_excluded_loss": "5.04",
        "percent_hidden_explained": "87.05%",
        "percent_hidden_xy_explained": "11.25%",
        WITH_MEAN: "2.06e-06",
    },
    "C113_T_seed1": {
        "total_hidden_restricted_loss": "6.08e-07",
        "total_hidden_excluded_loss": "9.34",
        "percent_hidden_explained": "91.42%",
        "percent_hidden_xy_explained": "15.94%",
        "sum_of_squared_weights": "849.57",
        WITH_MEAN: "1.23e-07",
    },
    "D59_T_seed1": {"sum_of_squared_weights": "1108.26", WITH_MEAN: "2.07e-06"},
    "S5_T_seed1": {"sum_of_squared_weights": "1144.93", WITH_MEAN: "1.95e-09"},
    "S5_MLP_seed2": {WITH_MEAN: "7.00e-07"},
    "D59_MLP_seed1": {WITH_MEAN: "7.24e-07"},
    "S6_MLP_seed1": {WITH_MEAN: "1.29e-06"},
}
"""Figures that were recomputed with the faults mended, to the digits that are printed."""

FAULT = {"A5": "A", "C1": "B", "D5": "", "S5": "", "S6": ""}


def paper_row(name: str) -> dict[str, str]:
    group, kind, seed = name.split("_")
    path = TABLES / ("mlp_all.csv" if kind == "MLP" else "transformer_all.csv")
    if not path.is_file():
        pytest.skip(f"the paper's tables are not at {TABLES}")
    wanted = f"${group[0]}_{{{group[1:]}}}$"
    with path.open() as file:
        return next(r for r in csv.DictReader(file) if (r["Group"], f"seed{r['Seed']}") == (wanted, seed))


QUICK = ("A5_MLP_seed1", "A5_T_seed1", "C113_T_seed1", "S5_MLP_seed2", "D59_MLP_seed1")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CORRECTED]
)
def test_a_row_has_the_paper_s_digits_or_the_corrected_ones(name: str, published_folder: Callable[[str], Path]) -> None:
    row = study_row(load_network(published_folder(name)))
    paper = paper_row(name)
    written = {column.measure: column.write for column in COLUMNS}
    embeddings = {"percent_x_embed_explained": "$W_a$ FVE", "percent_y_embed_explained": "$W_b$ FVE"}
    if row.architecture == "T":
        embeddings = dict.fromkeys(embeddings, "$W_E$ FVE")
    fault = FAULT[name[:2]]
    for measure, head in {**HEADS, **embeddings}.items():
        value, theirs = row.values[measure], row.published_value(measure)
        assert value is not None
        assert theirs is not None
        printed = paper[head].replace("\\", "")
        assert written[measure](theirs) == printed, f"{measure}: what is read is what was printed"
        if measure in row.reasons:
            assert row.reasons[measure] == fault
            assert fault in FAULTS
            if measure in CORRECTED[name]:
                assert written[measure](value) == CORRECTED[name][measure]
        else:
            assert measure not in CORRECTED[name], f"{measure} was wrong"
            assert written[measure](value) == printed
    mean = row.values[WITH_MEAN]
    assert mean is not None
    assert written[WITH_MEAN](mean) == CORRECTED[name][WITH_MEAN]
    squares = row.values["sum_of_squared_weights"]
    assert squares is not None
    if row.architecture == "T":
        assert row.published_value("sum_of_squared_weights") == 0
        assert row.reasons["sum_of_squared_weights"] == "D"
        if "sum_of_squared_weights" in CORRECTED[name]:
            assert f"{squares:.2f}" == CORRECTED[name]["sum_of_squared_weights"]
    else:
        assert "sum_of_squared_weights" not in row.reasons
    assert row.order == "similarity"
    if fault != "A":
        assert {short_irrep(irrep) for irrep in row.irreps} == set(paper["Key Irreps"].split(", "))


def test_the_wrong_irreps_of_a5_change_which_are_key(published_folder: Callable[[str], Path]) -> None:
    row = study_row(load_network(published_folder("A5_T_seed1")))
    assert row.irreps == ("a5_3d_a",)
    assert row.published is not None
    assert row.published.irreps == ("a5_3d_a", "a5_3d_b")
    assert "3d-a, 3d-b → 3d-a" in universality_table(study_table_of([row]), "text")


def test_the_chunked_loss_is_the_reason_for_large_transformers_alone(published_folder: Callable[[str], Path]) -> None:
    from dataclasses import replace

    from refractor.lab.composition.published_figures import fault_of

    run = replace(read_published_run(published_folder("S5_T_seed1")), parameter=6)
    rows = {"all": 518_400, "train": 207_360, "test": 311_040}
    assert fault_of("test_loss", run, rows) == "C"
    assert fault_of("total_hidden_excluded_loss", run, rows) == "C"
    assert fault_of("percent_hidden_explained", run, rows) is None
    assert fault_of("test_loss", run, dict.fromkeys(rows, 14_400)) is None
    assert fault_of("test_loss", replace(run, architecture="mlp"), rows) is None


def test_means_are_those_of_the_rows(published_folder: Callable[[str], Path]) -> None:
    first, second = (study_row(load_network(published_folder(name))) for name in ("S5_MLP_seed1", "S5_MLP_seed2"))
    table = study_table_of([first, second])
    (mean,) = table.means
    assert (mean.group, mean.architecture, mean.count) == ("S5", "MLP", 2)
    for name in MEASURES:
        one, other = first.values[name], second.values[name]
        assert one is not None
        assert other is not None
        assert mean.values[name] == pytest.approx((one + other) / 2, rel=1e-14)
    assert mean.published[WITH_MEAN] is None
    assert mean.reasons == {}


# Rows that no file is needed for


@pytest.fixture
def row() -> StudyRow:
    from refractor.lab.composition.published_figures import PublishedFigures

    values = dict.fromkeys(MEASURES, 0.5) | {"percent_y_embed_explained": None}
    figures = PublishedFigures({"test_loss": 0.5, "percent_hidden_explained": 0.9}, ("sign",))
    return StudyRow(
        'a, "b" <i> & %_', "S5", "MLP", 1, ("sign",), "similarity", values, figures, {"percent_hidden_explained": "B"}
    )


@pytest.fixture
def table(row: StudyRow) -> StudyTable:
    return study_table_of([row])


def test_csv_is_read_back_with_full_digits(table: StudyTable) -> None:
    (run, mean) = csv.DictReader(io.StringIO(universality_table(table, "csv")))
    assert run["name"] == table.rows[0].name
    assert float(run["test_loss"]) == 0.5
    assert run["percent_y_embed_explained"] == ""
    assert float(run["percent_hidden_explained.published"]) == 0.9
    assert run["reasons"] == "percent_hidden_explained=B"
    assert f"{WITH_MEAN}.published" not in run
    assert (mean["name"], mean["networks"]) == ("mean", "1")


def test_every_table_is_rectangular(table: StudyTable) -> None:
    for part in parts(table):
        assert len(part.heads) == len(part.latex)
        for cells in part.rows:
            assert len(cells) == len(part.heads)


def test_latex_escapes_what_is_not_its_own(table: StudyTable) -> None:
    text = universality_table(table, "latex")
    assert r"90.00\% $\to$ 50.00\% (B)" in text
    assert "$S_{5}$ & 1 & sign & 5.00e-01" in text
    assert r"MLP $\rho(ab)$ FVE" in text
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert line.count("&") - line.count(r"\&") in {len(part.heads) - 1 for part in parts(table)}
    assert escape_latex("a\\b {c} ~^#$") == r"a\textbackslash{}b \{c\} \textasciitilde{}\textasciicircum{}\#\$"


def test_html_is_whole_and_escaped(table: StudyTable) -> None:
    from dataclasses import replace

    from pages import Page

    evil = "<script>alert(1)</script>"
    text = universality_table(study_table_of([replace(table.rows[0], group=evil)]), "html")
    page = Page(text)
    assert page.open == []
    assert not any(tag == "script" for tag, _ in page.elements)
    assert evil in page.words
    assert "90.00% → 50.00% (B)" in page.words


def test_notes_name_the_faults_that_are_met(table: StudyTable, row: StudyRow) -> None:
    from dataclasses import replace

    assert [note[0] for note in notes(table)] == ["B", "E"]
    unknown = study_table_of([replace(row, reasons={"test_loss": ""})])
    assert [note[0] for note in notes(unknown)] == ["E", "?"]
    assert "(?)" in universality_table(unknown, "text")


def test_small_differences_are_not_shown() -> None:
    assert not differs("test_loss", 1.0000e-6, 1.0005e-6)
    assert differs("test_loss", 1.000e-6, 1.002e-6)
    assert not differs("percent_hidden_explained", 0.90001, 0.90003)
    assert differs("percent_hidden_explained", 0.9, 0.9001)


def test_our_runs_are_ordered_as_they_were_learned(tmp_path: Path) -> None:
    source = load_network(composed(tmp_path / "run", GroupComposition("S3"), steps=100))
    row = study_row(source)
    assert row.order == "learning"
    assert row.published is None
    assert row.reasons == {}
    assert row.seed == 0
    assert set(row.irreps) <= {"sign", "standard"}
    assert all(value is not None for value in row.values.values())
    transformer = study_row(load_network(composed(tmp_path / "attention", GroupComposition("S3"), "transformer")))
    assert transformer.architecture == "T"
    bilinear = study_row(load_network(composed(tmp_path / "bilinear", GroupComposition("C5"), "bilinear")))
    assert bilinear.architecture == "BilinearNet"
    text = universality_table(study_table_of([row, transformer, bilinear]), "text")
    assert "Networks of kind BilinearNet" in text
    assert text.count("W_E FVE") == 1


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="at least one network"):
        study_table([])
    folder = composed(tmp_path / "run", ModularMultiplication(5))
    with pytest.raises(ArgumentError, match="modular-multiplication with p=5"):
        study_table([load_network(folder)])
    with pytest.raises(UnknownNameError, match="Nearest: 'latex'"):
        universality_table(StudyTable((), ()), "latx")


def test_damaged_figures_are_named(tmp_path: Path, published_folder: Callable[[str], Path]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(published_folder("A5_MLP_seed1"), folder)
    figures = read_published_figures(folder)
    assert figures is not None
    assert figures.metrics["epoch"] == json.loads((folder / "summary_metrics.json").read_text())["epoch"]
    (folder / "summary_metrics.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read as figures"):
        read_published_figures(folder)
    (folder / "summary_metrics.json").write_text("[]")
    with pytest.raises(StoreError, match="must hold a JSON object; list came"):
        read_published_figures(folder)
    (folder / "summary_metrics.json").unlink()
    assert read_published_figures(folder) is None

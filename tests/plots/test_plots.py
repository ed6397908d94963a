"""Figures show the numbers that they were given, under the names that they were given."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor import plots
from refractor.base.errors import ArgumentError, ShapeError

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool]


@given(rows=st.integers(1, 5), columns=st.integers(1, 5), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_a_heat_map_shows_its_numbers_with_colours_centred_at_zero(
    rows: int, columns: int, dtype: torch.dtype, seed: int
) -> None:
    data = (6 * torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) - 3).to(dtype)
    figure = plots.imshow(data)
    np.testing.assert_array_equal(np.asarray(figure.data[0].z, dtype=float), data.double().numpy())
    scale = figure.layout.coloraxis
    assert scale.cmin == -scale.cmax
    assert scale.cmax == pytest.approx(data.double().abs().max().item() or 1.0)
    assert figure.layout.yaxis.autorange == "reversed"


def test_tensors_that_require_gradients_lists_and_arrays_are_drawn() -> None:
    expected = [[1.0, 2.0]]
    for data in (torch.tensor(expected, requires_grad=True), np.array(expected), expected, [torch.tensor([1.0, 2.0])]):
        assert np.asarray(plots.imshow(data).data[0].z).tolist() == expected


def test_titles_names_and_sizes() -> None:
    figure = plots.imshow(
        torch.zeros(2, 3), title="T", xaxis="X", yaxis="Y", x=["a", "b", "="], y=["r", "s"], width=800, height=700
    )
    assert figure.layout.title.text == "T"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("X", "Y")
    assert list(figure.data[0].x) == ["a", "b", "="]
    assert list(figure.data[0].y) == ["r", "s"]
    assert (figure.layout.width, figure.layout.height) == (800, 700)
    assert figure.layout.template == plots.imshow(torch.ones(1, 1)).layout.template
    assert plots.imshow(torch.zeros(2, 3), zmin=0, zmax=2).layout.coloraxis.cmax == 2


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_facets_stand_side_by_side_and_are_called_as_notebooks_expect(axis: int) -> None:
    data = torch.randn(2, 3, 4)
    figure = plots.imshow(data, facet_col=axis, xaxis="b", yaxis="a")
    parts = data.unbind(axis)
    assert len(figure.data) == len(parts)
    for trace, part in zip(figure.data, parts, strict=True):
        np.testing.assert_array_equal(trace.z, part.numpy())
        assert trace.coloraxis == "coloraxis"
    assert [a.text for a in figure.layout.annotations] == [f"facet_col={i}" for i in range(len(parts))]
    figure.for_each_annotation(lambda a: a.update(text=f"Neuron {int(a.text.split('=')[-1]) + 1}"))
    assert figure.layout.annotations[1].text == "Neuron 2"
    assert figure.layout.xaxis2.title.text == "b"
    assert figure.layout.yaxis.title.text == "a"
    named = plots.imshow(data, facet_col=axis, facet_labels=[f"n{i}" for i in range(len(parts))])
    assert named.layout.annotations[0].text == "n0"


def test_aspect() -> None:
    assert plots.imshow(torch.zeros(2, 2)).layout.yaxis.scaleanchor == "x"
    assert plots.imshow(torch.zeros(2, 2), aspect="auto").layout.yaxis.scaleanchor is None


def test_lines() -> None:
    figure = plots.line(torch.tensor([3.0, 1.0]), x=[10, 20], labels={"x": "step", "y": "loss"}, title="T", log_y=True)
    assert list(figure.data[0].x) == [10, 20]
    assert list(figure.data[0].y) == [3.0, 1.0]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("step", "loss")
    assert figure.layout.yaxis.type == "log"
    assert not figure.layout.showlegend
    several = plots.line(torch.eye(3), names=["a", "b", "c"])
    assert [trace.name for trace in several.data] == ["a", "b", "c"]
    assert list(several.data[1].y) == [0, 1, 0]
    assert list(several.data[1].x) == [0, 1, 2]
    assert several.layout.showlegend


def test_scatter_names_points() -> None:
    figure = plots.scatter(
        [0, 1], torch.tensor([2.0, 3.0]), hover_name=["a", "b"], color=[5, 6], aspect="equal", xaxis="X"
    )
    assert list(figure.data[0].hovertext) == ["a", "b"]
    assert list(figure.data[0].marker.color) == [5, 6]
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.xaxis.title.text == "X"


def test_histogram_counts_all_axes() -> None:
    figure = plots.histogram(torch.tensor([[1.0, 2.0], [2.0, 3.0]]), bins=3, title="T")
    assert list(figure.data[0].x) == [1, 2, 2, 3]
    assert figure.data[0].nbinsx == 3
    assert figure.layout.yaxis.title.text == "count"


def test_attention_by_head() -> None:
    pattern = torch.tensor([[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]])
    figure = plots.attention(pattern, tokens=["the", "the"])
    assert [a.text for a in figure.layout.annotations] == ["head 0", "head 1"]
    assert list(figure.data[0].x) == ["0: the", "1: the"]
    assert list(figure.data[0].y) == ["0: the", "1: the"]
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    np.testing.assert_array_equal(figure.data[1].z, pattern[1].numpy())
    assert len(plots.attention(pattern[0]).data) == 1


@pytest.mark.parametrize(
    ("draw", "error", "text"),
    [
        (lambda: plots.imshow(torch.zeros(3)), ShapeError, r"data must have 2 or 3 axes; 1 came, shape \[3\]"),
        (lambda: plots.imshow(torch.zeros(2, 2, 2)), ShapeError, "came without facet_col. Pass facet_col=0"),
        (lambda: plots.imshow(torch.zeros(2, 2), facet_col=0), ShapeError, "data must have 3 axes; 2 came"),
        (lambda: plots.imshow(torch.zeros(2, 2, 2), facet_col=3), ArgumentError, "facet_col must be an axis of data"),
        (lambda: plots.imshow(torch.zeros(0, 2)), ShapeError, r"must not be empty; shape \[0, 2\] came"),
        (lambda: plots.imshow(torch.zeros(2, 2), x=["a"]), ShapeError, "x must have 2 entries.*; 1 came"),
        (
            lambda: plots.imshow(torch.zeros(2, 2), aspect="wide"),
            ArgumentError,
            "aspect must be one of 'equal', 'auto'",
        ),
        (
            lambda: plots.imshow(torch.zeros(2, 2), zmin=2, zmax=1),
            ArgumentError,
            "zmin must be below zmax; 2 and 1 came",
        ),
        (lambda: plots.imshow(torch.zeros(2, 2), facet_labels=["a"]), ArgumentError, "facet_labels need facet_col"),
        (lambda: plots.imshow(torch.zeros(2, 2, dtype=torch.complex64)), ShapeError, r"real numbers.*Take .real"),
        (lambda: plots.line([[1, 2], [3]]), ShapeError, "y must be a regular array; rows of different lengths"),
        (lambda: plots.line([1, 2], x=[1]), ShapeError, "x must have 2 entries"),
        (lambda: plots.line(["a"]), ShapeError, "y must be real numbers"),
        (lambda: plots.scatter([1], [1, 2]), ShapeError, "x and y must have as many points; 1 and 2 came"),
        (lambda: plots.scatter([1, 2], [1, 2], hover_name=["a"]), ShapeError, "hover_name must have 2 entries"),
        (lambda: plots.histogram([1.0], bins=0), ArgumentError, "bins must be an integer of at least 1"),
        (lambda: plots.attention(torch.zeros(2, 2), tokens=["a"]), ShapeError, "tokens must have 2 entries"),
    ],
)
def test_bad_input_is_named(draw, error: type[Exception], text: str) -> None:  # noqa: ANN001
    with pytest.raises(error, match=text):
        draw()


def test_plots_need_no_pandas() -> None:
    code = "import sys; sys.modules['pandas'] = None\nfrom refractor import plots\nplots.imshow([[1, 2]], facet_col=None); plots.line([1])"
    subprocess.run([sys.executable, "-c", code], check=True)

"""Figures show the numbers that they were given, under the names that they were given."""
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# (plotly makes the attributes of figures at run time)

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refractor import plots
from refractor.base.errors import ArgumentError, ShapeError, UnknownNameError

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return 6 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 3


# ---------------------------------------------------------------- every kind of array


@given(rows=st.integers(1, 5), columns=st.integers(1, 5), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_a_heat_map_shows_its_numbers_with_colours_centred_at_zero(
    rows: int, columns: int, dtype: torch.dtype, seed: int
) -> None:
    data = random(rows, columns, seed=seed).abs().to(dtype)
    figure = plots.imshow(data)
    np.testing.assert_array_equal(np.asarray(figure.data[0].z, dtype=float), data.double().numpy())
    scale = figure.layout.coloraxis
    assert scale.cmin == -scale.cmax
    assert scale.cmax == pytest.approx(data.double().abs().max().item() or 1.0)
    assert figure.layout.yaxis.autorange == "reversed"  # row 0 at the top


@pytest.mark.parametrize(
    "data",
    [
        torch.tensor([[1.0, 2.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16, requires_grad=True),
        torch.nn.Parameter(torch.tensor([[1.0, 2.0]])),
        torch.tensor([[1.0], [2.0]]).T,
        torch.tensor([[1.0, 2.0]]).to_sparse(),
        torch.tensor([[-1j, -2j]]).conj().imag,  # a view whose sign is still to be turned
        np.array([[1.0, 2.0]]),
        np.array([[1.0, 2.0]], dtype=np.float16),
        [[1.0, 2.0]],
        ([1.0, 2.0],),
        [torch.tensor([1.0, 2.0], requires_grad=True, dtype=torch.bfloat16)],
        [[torch.tensor(1.0, requires_grad=True), torch.tensor(2.0)]],
        [range(1, 3)],
    ],
    ids=str,
)
def test_whatever_a_notebook_holds_is_drawn(data: Any) -> None:
    assert np.asarray(plots.imshow(data).data[0].z).tolist() == [[1.0, 2.0]]


def test_plotly_gets_only_types_that_it_draws() -> None:
    for data in (torch.tensor([[True]]), [[True]], np.array([[True]])):
        assert plots.imshow(data).data[0].z.dtype == np.uint8
    for half in (np.array([[0.5]], np.float16), torch.tensor([[0.5]], dtype=torch.float16)):
        assert plots.imshow(half).data[0].z.dtype == np.float32
    for dtype in (torch.int64, torch.float32, torch.float64):
        assert plots.imshow(torch.ones(1, 1, dtype=dtype)).data[0].z.dtype == torch.ones(1, dtype=dtype).numpy().dtype


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_a_gpu_are_drawn() -> None:
    data = torch.tensor([[1.0, 2.0]], device="cuda", dtype=torch.bfloat16, requires_grad=True)
    assert np.asarray(plots.imshow(data).data[0].z).tolist() == [[1.0, 2.0]]


def test_a_figure_keeps_its_numbers_when_the_tensor_changes() -> None:
    data = torch.ones(2, 2)
    figure = plots.imshow(data)
    curve = plots.line(data)
    data.zero_()
    assert np.asarray(figure.data[0].z).tolist() == [[1, 1], [1, 1]]
    assert np.asarray(curve.data[1].y).tolist() == [1, 1]


def test_every_figure_becomes_json_without_pandas_or_express() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None; sys.modules['plotly.express'] = None\n"
        "from refractor import plots as p\n"
        "for f in (p.imshow([[[1, 2]]], facet_col=0), p.line([1]), p.scatter([1], [2], color=['a'], hover_name=['b']),\n"
        "          p.histogram([1, 2]), p.attention([[1.0]], tokens=['a'])):\n"
        "    assert len(f.to_json()) > 100"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- imshow


def test_titles_names_and_sizes() -> None:
    figure = plots.imshow(
        torch.zeros(2, 3), title="T", xaxis="X", yaxis="Y", x=["a", "b", "="], y=["r", "s"], width=800, height=700
    )
    assert figure.layout.title.text == "T"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("X", "Y")
    assert list(figure.data[0].x) == ["a", "b", "="]
    assert list(figure.data[0].y) == ["r", "s"]
    assert (figure.layout.width, figure.layout.height) == (800, 700)
    assert figure.data[0].hovertemplate.startswith("X: %{x}<br>Y: %{y}")


def test_the_template_is_ours_unless_another_is_given() -> None:
    ours = go.Figure().update_layout(template=plots.TEMPLATE).layout.template
    dark = go.Figure().update_layout(template="plotly_dark").layout.template
    draw: list[Callable[..., go.Figure]] = [
        lambda **more: plots.imshow([[1]], **more),
        lambda **more: plots.line([1], **more),
        lambda **more: plots.scatter([1], [1], **more),
        lambda **more: plots.histogram([1], **more),
        lambda **more: plots.attention([[1.0]], **more),
    ]
    for plot in draw:
        assert plot().layout.template == ours
        assert plot(template="plotly_dark").layout.template == dark
        assert plot(template="plotly_dark+presentation").layout.template not in (ours, dark)
        with pytest.raises(UnknownNameError, match="plotly_dark"):
            plot(template="plotly_darc")


def test_negative_is_red_zero_is_white_positive_is_blue() -> None:
    colours = plots.imshow([[1.0]]).layout.coloraxis.colorscale
    rgb = [[int(part) for part in colour[4:-1].split(",")] for _, colour in colours]
    assert rgb[0][0] > rgb[0][2]
    assert min(rgb[len(rgb) // 2]) > 240
    assert rgb[-1][2] > rgb[-1][0]


@pytest.mark.parametrize(
    ("data", "given", "limits"),
    [
        ([[-1.0, 3.0]], {}, (-3, 3)),
        ([[-4.0, 3.0]], {}, (-4, 4)),
        ([[0.0, 0.0]], {}, (-1, 1)),
        ([[float("nan"), float("inf"), -2.0]], {}, (-2, 2)),
        ([[float("nan")]], {}, (None, None)),
        ([[-1.0, 3.0]], {"zmin": 0, "zmax": 2}, (0, 2)),
        ([[-1.0, 3.0]], {"zmin": -5}, (-5, 5)),
        ([[-1.0, 3.0]], {"zmax": 2}, (-2, 2)),
        ([[-1.0, 3.0]], {"zmin": 0}, (0, 3)),
        ([[-1.0, 3.0]], {"zmax": 0}, (-1, 0)),
        ([[0.0, 0.0]], {"zmin": 0}, (0, 1)),
        ([[0.0, 0.0]], {"zmax": 0}, (-1, 0)),
        ([[2.0, 2.0]], {"color_continuous_midpoint": None}, (1, 3)),
        ([[-1.0, 3.0]], {"color_continuous_midpoint": 2.0}, (-1, 5)),
        ([[-1.0, 3.0]], {"color_continuous_midpoint": None}, (-1, 3)),
    ],
)
def test_limits_of_the_colours(data: Any, given: dict[str, Any], limits: tuple[float, float]) -> None:
    scale = plots.imshow(data, **given).layout.coloraxis
    assert (scale.cmin, scale.cmax) == limits


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_facets_stand_side_by_side_and_are_called_as_notebooks_expect(axis: int) -> None:
    data = random(2, 3, 4)
    figure = plots.imshow(data, facet_col=axis, xaxis="b", yaxis="a")
    parts = data.unbind(axis)
    assert len(figure.data) == len(parts)
    for trace, part in zip(figure.data, parts, strict=True):
        np.testing.assert_array_equal(trace.z, part.numpy())
        assert trace.coloraxis == "coloraxis"
    assert figure.layout.coloraxis.cmax == data.abs().max().item()  # shared: over all parts
    assert texts(figure) == [f"facet_col={i}" for i in range(len(parts))]
    figure.for_each_annotation(lambda a: a.update(text=f"Neuron {int(a.text.split('=')[-1]) + 1}"))
    assert texts(figure) == [f"Neuron {i + 1}" for i in range(len(parts))]
    starts = [figure.layout[trace.xaxis.replace("x", "xaxis")].domain[0] for trace in figure.data]
    assert starts == sorted(set(starts))
    assert [axis.title.text for axis in figure.select_xaxes()] == ["b"] * len(parts)
    assert [axis.title.text for axis in figure.select_yaxes()] == ["a"] + [None] * (len(parts) - 1)
    assert [axis.autorange for axis in figure.select_yaxes()] == ["reversed"] * len(parts)
    assert {axis.matches for axis in list(figure.select_xaxes())[1:]} == {"x"}
    assert {axis.matches for axis in list(figure.select_yaxes())[1:]} == {"y"}
    named = plots.imshow(data, facet_col=axis, facet_labels=[f"n{i}" for i in range(len(parts))])
    assert texts(named) == [f"n{i}" for i in range(len(parts))]


def test_a_single_facet_is_named_and_a_plain_image_is_not() -> None:
    assert texts(plots.imshow(torch.ones(1, 2, 2), facet_col=0)) == ["facet_col=0"]
    assert texts(plots.imshow(torch.ones(2, 2))) == []


def test_facets_wrap_into_rows() -> None:
    figure = plots.imshow(random(5, 2, 2), facet_col=0, facet_col_wrap=3, xaxis="b", yaxis="a")
    assert texts(figure) == [f"facet_col={i}" for i in range(5)]
    corners = [(a.domain[0], b.domain[0]) for a, b in zip(figure.select_xaxes(), figure.select_yaxes(), strict=True)]
    assert len({across for across, _ in corners}) == 3
    assert corners[0][1] == corners[2][1] > corners[3][1]
    assert [axis.title.text for axis in list(figure.select_xaxes())[:5]] == [None, None, "b", "b", "b"]
    assert [axis.title.text for axis in list(figure.select_yaxes())[:5]] == ["a", None, None, "a", None]


def test_many_facets_fit() -> None:
    assert len(plots.imshow(torch.ones(150, 1, 1), facet_col=0).data) == 150
    assert len(plots.imshow(torch.ones(150, 1, 1), facet_col=0, facet_col_wrap=1).data) == 150


def test_aspect() -> None:
    square, free = plots.imshow(torch.zeros(2, 2)), plots.imshow(torch.zeros(2, 2), aspect="auto")
    assert square.layout.yaxis.scaleanchor == "x"
    assert square.layout.xaxis.constrain == "domain"
    assert free.layout.yaxis.scaleanchor is None


def test_names_that_look_like_numbers_stay_names_and_numbers_stay_numbers() -> None:
    figure = plots.imshow(torch.zeros(2, 3), x=["10", "1", "2024-01-01"], y=torch.tensor([0.5, 2.0]))
    assert figure.layout.xaxis.type == "category"
    assert list(figure.data[0].x) == ["10", "1", "2024-01-01"]
    assert figure.layout.yaxis.type is None
    assert list(figure.data[0].y) == [0.5, 2.0]


def test_names_that_repeat_do_not_fall_together() -> None:
    figure = plots.imshow(torch.zeros(2, 3), x=["the", "cat", "the"])
    assert figure.data[0].x is None  # positions 0, 1, 2
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2]
    assert list(figure.layout.xaxis.ticktext) == ["the", "cat", "the"]


def test_the_calls_of_the_modular_addition_notebook() -> None:
    """Its arguments to the letter; only the numbers are drawn at random, over 7 instead of 113 residues."""
    pattern, basis = torch.softmax(random(49, 4, 3, 3), -1).requires_grad_(), random(7, 7)
    heads = [f"Head {i}" for i in range(4)]
    for picked in (pattern.mean(dim=0)[:, -1, :], pattern[5][:, -1, :]):
        figure = plots.imshow(
            picked, title="T", xaxis="Source", yaxis="Head", x=["a", "b", "="], y=heads, width=800, height=800
        )
        np.testing.assert_array_equal(figure.data[0].z, picked.detach().numpy())
        assert (list(figure.data[0].x), list(figure.data[0].y)) == (["a", "b", "="], heads)
    by_head = pattern[:, :, -1, 0].T.reshape(4, 7, 7)
    assert texts(plots.imshow(by_head, title="T", xaxis="b", yaxis="a", facet_col=0)) == [
        f"facet_col={i}" for i in range(4)
    ]
    plots.imshow(basis[:, :5], title="First 8 columns", aspect="auto", xaxis="Input Vocabulary")
    names = ["Constant", *(f"{wave} {k}" for k in (1, 2, 3) for wave in ("sin", "cos"))]
    drawn = plots.imshow(basis, xaxis="Input", yaxis="Component", y=names)
    assert list(drawn.data[0].y) == names
    assert go.Figure().update_layout(template=plots.TEMPLATE).layout.template == drawn.layout.template


# ---------------------------------------------------------------- line, scatter, histogram


def test_one_line() -> None:
    figure = plots.line(torch.tensor([3.0, 1.0]), [10, 20], labels={"x": "step", "y": "loss"}, title="T", log_y=True)
    assert list(figure.data[0].x) == [10, 20]
    assert list(figure.data[0].y) == [3.0, 1.0]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("step", "loss")
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == (None, "log")
    assert figure.layout.title.text == "T"
    assert figure.data[0].mode == "lines"
    assert not figure.layout.showlegend


def test_several_lines() -> None:
    figure = plots.line(torch.eye(3), names=["a", "b", "c"], log_x=True, markers=True)
    assert [trace.name for trace in figure.data] == ["a", "b", "c"]
    assert [list(trace.y) for trace in figure.data] == torch.eye(3).tolist()
    assert list(figure.data[1].x) == [0, 1, 2]
    assert figure.layout.xaxis.type == "log"
    assert figure.data[0].mode == "lines+markers"
    assert figure.layout.showlegend
    assert [trace.name for trace in plots.line(torch.eye(2)).data] == ["0", "1"]
    assert plots.line([1.0], names=["only"]).layout.showlegend


def test_axis_titles_go_before_labels() -> None:
    figure = plots.line([1], xaxis="X", labels={"x": "no", "y": "Y"})
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("X", "Y")


def test_a_line_may_return_to_the_same_number_and_pass_names() -> None:
    assert list(plots.line([1, 2, 3], x=[0.0, 1.0, 0.0]).data[0].x) == [0.0, 1.0, 0.0]
    named = plots.line([1, 2], x=["1", "2"])
    assert (list(named.data[0].x), named.layout.xaxis.type) == (["1", "2"], "category")


def test_scatter_with_numbers_as_colours() -> None:
    figure = plots.scatter(
        [0, 1], torch.tensor([2.0, 3.0]), hover_name=["a", "b"], color=torch.tensor([5, 6]), aspect="equal", xaxis="X"
    )
    (trace,) = figure.data
    assert (list(trace.x), list(trace.y), trace.mode) == ([0, 1], [2, 3], "markers")
    assert list(trace.hovertext) == ["a", "b"]
    assert "%{hovertext}" in trace.hovertemplate
    assert list(trace.marker.color) == [5, 6]
    assert trace.marker.coloraxis == "coloraxis"
    assert figure.layout.yaxis.scaleanchor == "x"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("X", "y")
    plain = plots.scatter([1], [1])
    assert (plain.data[0].marker.color, plain.layout.yaxis.scaleanchor) == (None, None)
    assert "hovertext" not in plain.data[0].hovertemplate


@given(groups=st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_scatter_by_group_draws_every_point_once_under_its_name(groups: list[str]) -> None:
    indices = list(range(len(groups)))
    figure = plots.scatter(indices, indices, color=groups, hover_name=[f"p{i}" for i in indices])
    assert [trace.name for trace in figure.data] == list(dict.fromkeys(groups))
    for trace in figure.data:
        assert list(trace.x) == list(trace.y) == [i for i in indices if groups[i] == trace.name]
        assert list(trace.hovertext) == [f"p{i}" for i in trace.x]
    assert figure.layout.showlegend


@given(seed=st.integers(0, 99), bins=st.integers(1, 20), density=st.booleans())
def test_a_histogram_counts_every_value_once(seed: int, bins: int, density: bool) -> None:
    values = random(3, 7, 2, seed=seed)
    figure = plots.histogram(values, bins=bins, density=density, xaxis="v")
    bar = figure.data[0]
    assert len(bar.y) == len(bar.x) == len(bar.width) == bins
    total = (bar.y * bar.width).sum() if density else bar.y.sum()
    assert total == pytest.approx(1.0 if density else values.numel())
    for count, (low, high), middle, width in zip(bar.y, bar.customdata, bar.x, bar.width, strict=True):
        last = high == bar.customdata[-1][1]
        inside = ((values >= low) & ((values <= high) if last else (values < high))).sum().item()
        assert (count * width * values.numel() if density else count) == pytest.approx(inside)
        assert (middle, width) == (pytest.approx((low + high) / 2), pytest.approx(high - low))
    assert figure.layout.yaxis.title.text == ("density" if density else "count")
    assert figure.layout.xaxis.title.text == "v"


def test_a_histogram_takes_edges_and_constant_values() -> None:
    bar = plots.histogram([0, 1, 2, 3, 9], bins=[0, 1, 3]).data[0]
    assert (bar.y.tolist(), bar.customdata.tolist()) == ([1, 3], [[0, 1], [1, 3]])
    assert plots.histogram(torch.full((5,), 2.0), bins=4).data[0].y.sum() == 5
    assert plots.histogram([1], log_y=True).layout.yaxis.type == "log"
    assert plots.histogram(torch.tensor(3.0)).data[0].y.sum() == 1


# ---------------------------------------------------------------- attention


def test_attention_by_head() -> None:
    pattern = torch.tensor([[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]], dtype=torch.bfloat16)
    figure = plots.attention(pattern, ["<s>", "cat\n"], title="T")
    assert texts(figure) == ["head 0", "head 1"]
    for trace, head in zip(figure.data, pattern, strict=True):
        np.testing.assert_array_equal(trace.z, head.float().numpy())
        assert list(trace.x) == list(trace.y) == ["&lt;s&gt;", "cat↵"]  # plotly would read <s> as a tag
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Key", "Query")
    assert figure.layout.title.text == "T"
    assert texts(plots.attention(pattern, head_names=["L0H0", "L0H1"])) == ["L0H0", "L0H1"]
    single = plots.attention(pattern[0])
    assert (len(single.data), texts(single), single.data[0].x) == (1, [], None)


def test_tokens_that_repeat_keep_their_places() -> None:
    figure = plots.attention(torch.eye(3)[None], tokens=torch.tensor([5, 7, 5]))
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert list(axis.tickvals) == [0, 1, 2]
        assert list(axis.ticktext) == ["5", "7", "5"]


def test_queries_are_the_last_keys() -> None:
    figure = plots.attention(torch.full((2, 1, 3), 1 / 3), tokens=["a", "b", "="])
    assert list(figure.data[0].x) == ["a", "b", "="]
    assert list(figure.data[0].y) == ["="]


def test_many_heads_stand_four_to_a_row() -> None:
    figure = plots.attention(torch.eye(2).expand(12, 2, 2))
    assert len({axis.domain for axis in figure.select_xaxes()}) == 4
    assert len({axis.domain for axis in figure.select_yaxes()}) == 3
    assert figure.layout.height == 3 * 320
    assert plots.attention(torch.eye(2).expand(4, 2, 2)).layout.height is None
    assert plots.attention(torch.eye(2).expand(12, 2, 2), height=500).layout.height == 500


# ---------------------------------------------------------------- errors


TWO, THREE = torch.zeros(2, 2), torch.zeros(2, 2, 2)
BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: plots.imshow(torch.zeros(3)), ShapeError, r"data must have shape \[rows, columns\].*; \[3\] came"),
    (lambda: plots.imshow(THREE), ShapeError, "or three axes together with facet_col=<axis>; [2, 2, 2] came"),
    (lambda: plots.imshow(TWO, facet_col=0), ShapeError, "data must have shape of three axes, one of them facet_col=0"),
    (lambda: plots.imshow(THREE, facet_col=3), ArgumentError, "facet_col must be an integer from -3 to 2; 3 came"),
    (lambda: plots.imshow(THREE, facet_col=True), ArgumentError, "facet_col must be an integer from -3 to 2; True"),
    (lambda: plots.imshow(torch.zeros(0, 2)), ShapeError, "data must hold at least one value; shape [0, 2] came"),
    (lambda: plots.imshow([]), ShapeError, "data must hold at least one value; shape [0] came"),
    (lambda: plots.imshow(TWO, x=["a"]), ShapeError, "x must have 2 entries, one for each of the columns of data; 1"),
    (lambda: plots.imshow(TWO, y="ab"), ShapeError, "y must have 2 entries, one for each of the rows of data; the"),
    (lambda: plots.imshow(TWO, y=[None, "a"]), ArgumentError, "y must be a list of strings or numbers; it holds None"),
    (lambda: plots.imshow(TWO, zmin=2, zmax=1), ArgumentError, "zmin must be below zmax; zmin=2 and zmax=1 came"),
    (lambda: plots.imshow(TWO, zmin=float("nan")), ArgumentError, "zmin must be a finite number; nan came"),
    (lambda: plots.imshow(TWO, zmin=1), ArgumentError, "zmin must not be above the largest value, 0.0, while zmax"),
    (lambda: plots.imshow(TWO, zmax=-1), ArgumentError, "zmax must not be below the smallest value, 0.0, while zmin"),
    (lambda: plots.imshow(TWO, facet_labels=["a"]), ArgumentError, "facet_labels needs facet_col"),
    (lambda: plots.imshow(THREE, facet_col=0, facet_labels=["a"]), ShapeError, "facet_labels must have 2 entries"),
    (lambda: plots.imshow(THREE, facet_col=0, facet_col_wrap=0), ArgumentError, "facet_col_wrap must be an integer of"),
    (lambda: plots.imshow(torch.zeros(2, 2, dtype=torch.cfloat)), ShapeError, "data must be real; complex64 came"),
    (lambda: plots.imshow([[1j]]), ShapeError, "data must be real; complex128 came. Draw its .real"),
    (lambda: plots.imshow(torch.zeros(2, 2, device="meta")), ArgumentError, "data must hold values; a tensor on the"),
    (lambda: plots.imshow(TWO, width=5), ArgumentError, "width must be an integer of at least 10; 5 came"),
    (lambda: plots.line([[1, 2], [3]]), ShapeError, "y must have rows of equal length"),
    (lambda: plots.line(3 * [TWO]), ShapeError, r"y must have shape [points] or [lines, points]; [3, 2, 2] came"),
    (lambda: plots.line([1, 2], x=[1]), ShapeError, "x must have 2 entries, one for each of the points of y; 1 came"),
    (lambda: plots.line([1, 2], names=["a", "b"]), ShapeError, "names must have 1 entries, one for each of the lines"),
    (lambda: plots.line([1], labels={"z": "a"}), ArgumentError, "labels must have no keys but 'x' and 'y'; 'z' came"),
    (lambda: plots.line(["a"]), ShapeError, "y must hold real numbers; <U1 came"),
    (lambda: plots.scatter([1], [1, 2]), ShapeError, "y must have shape [points=1], as x has; [2] came"),
    (lambda: plots.scatter(TWO, [1, 2]), ShapeError, "x must have shape [points]; [2, 2] came"),
    (lambda: plots.scatter([1, 2], TWO), ShapeError, "y must have shape [points]; [2, 2] came"),
    (lambda: plots.scatter([1, 2], [1, 2], hover_name=["a"]), ShapeError, "hover_name must have 2 entries"),
    (lambda: plots.scatter([1, 2], [1, 2], color=["a"]), ShapeError, "color must have 2 entries"),
    (lambda: plots.histogram([1.0], bins=0), ArgumentError, "bins must be an integer of at least 1; 0 came"),
    (lambda: plots.histogram([1.0], bins=[0, 0]), ArgumentError, "bins must be a number, or two or more finite edges"),
    (lambda: plots.histogram([1.0, float("nan")]), ArgumentError, "values must be finite; 1 of 2 are not"),
    (lambda: plots.histogram([1, 1 + 4e-16], bins=99), ArgumentError, "bins=99 are too many for values from 1.0 to"),
    (lambda: plots.histogram(torch.zeros(0)), ShapeError, "values must hold at least one value"),
    (lambda: plots.attention(TWO, tokens=["a"]), ShapeError, "tokens must have 2 entries, one for each of the keys"),
    (
        lambda: plots.attention(TWO, head_names=["a", "b"]),
        ArgumentError,
        "head_names must be None for a pattern [query",
    ),
    (lambda: plots.attention(THREE, head_names=["a"]), ShapeError, "head_names must have 2 entries, one for each of"),
    (lambda: plots.attention(TWO[None, None]), ShapeError, "pattern must have shape [query, key] or [head, query, key"),
    (lambda: plots.attention(TWO - 3), ArgumentError, "pattern must hold probabilities, from 0 to 1; -3.0 came"),
    (lambda: plots.attention(torch.zeros(3, 2), tokens=["a", "b"]), ShapeError, "no more queries than keys"),
]


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(("draw", "error", "text"), BAD, ids=[text[:40] for *_, text in BAD])
def test_bad_input_is_named(draw: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        draw()
    for part in text.replace("\\", "").split(".*"):
        assert part in str(caught.value)


def test_aspect_and_its_values_are_named(untyped: None) -> None:
    for draw in (lambda **more: plots.imshow(TWO, **more), lambda **more: plots.scatter([1], [1], **more)):
        with pytest.raises(ArgumentError, match="aspect must be one of 'auto', 'equal'; 'wide' came"):
            draw(aspect="wide")

"""Logits against cos(w(a + b - c)), and the frequency mixer."""

import torch
from torch import Tensor

from refractor.lab.analysis import Analysis
from refractor.lab.operations import SYMBOLS
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Dots, Figure, Panel, Section, Series, WideLines
from refractor.report.sections.mixer import mixer_figure
from refractor.report.sections.words import frequency_set, number, strongest
from refractor.report.snippets import analysis_snippet


def logits_section(analysis: Analysis, name: str) -> Section:
    """Draw the logits by distance from the right answer, their part in each key frequency, and the mixer."""
    sign = SYMBOLS[analysis.operation]
    title = f"Logits against cos(w(a {sign} b − c))"
    explained = analysis.fit.explained_by(analysis.frequencies)
    text = (
        f"A network that adds angles puts α cos(w(a {sign} b − c)) into the logit of c, with w = 2πk/p, for each key "
        f"frequency k. These cosines explain {explained:.2%} of the variance of the logits (less their mean over c); "
        f"in a table of right answers, as many would explain {_even_share(analysis):.2%}."
    )
    absent = (
        ()
        if analysis.frequencies
        else ("No frequency is key, so there is no cosine to compare with, and nothing to mix.",)
    )
    figures = (_fit(analysis, name), mixer_figure(analysis, name))
    return Section("logits", title, text, tuple(figure for figure in figures if figure is not None), absent)


def _even_share(analysis: Analysis) -> float:
    """Return the share that as many equal cosines explain: 2 / (p - 1) each, 1 / (p - 1) for k = p / 2."""
    return sum((1 if 2 * k == analysis.p else 2) / (analysis.p - 1) for k in analysis.frequencies)


def _fit(analysis: Analysis, name: str) -> Figure:
    cosines = [_against_cosine(analysis, k) for k in strongest(analysis.frequencies, analysis.fit)]
    panels: tuple[Panel, ...] = (_profile(analysis), _explained(analysis), *cosines)
    see = "First the mean logit at each distance, with the 5% to 95% range over all pairs."
    see_cosines = (
        " The closer the fitted cosines, the more of the logits they are. Then, for each key frequency, the mean logit "
        f"less the other key cosines, against cos(w(a {SYMBOLS[analysis.operation]} b − c)): points on a straight line "
        "through 0 mean that just this cosine is left."
    )
    return Figure(
        "logits-cosines",
        "Logits by the distance of c from the right answer",
        see + see_cosines if cosines else see,
        "How the cosines come about, and what depends on a and b other than through the answer: that is in the "
        "range, not in the mean. A straight line cannot tell one circuit from another that gives the same logits.",
        analysis_snippet(name, "profile, fitted = analysis.fit.profile, analysis.fit.curve(analysis.frequencies)"),
        panels,
    )


def _distances(analysis: Analysis) -> list[int]:
    """Return the distances c - s from about -p/2 to p/2."""
    return list(range(-((analysis.p - 1) // 2), analysis.p // 2 + 1))


def _profile(analysis: Analysis) -> WideLines:
    places = [d % analysis.p for d in _distances(analysis)]
    x = numbers([float(d) for d in _distances(analysis)])
    low, high = _spread(analysis)
    profile = analysis.fit.profile.values
    series = [
        Series("mean logit", x, numbers(profile[places])),
        Series("5% of pairs below", x, numbers(low[places]), role="range"),
        Series("95% of pairs below", x, numbers(high[places]), role="range"),
    ]
    if analysis.frequencies:
        name = f"cosines of {frequency_set(analysis.frequencies, analysis.p)}"
        series.insert(1, Series(name, x, numbers(analysis.fit.curve(analysis.frequencies)[places]), role="dashed"))
    return WideLines(
        "Mean logit by distance from the right answer",
        f"{number(float(profile[0]))} at the right answer, at most {number(float(profile[1:].max()))} elsewhere.",
        Axis("c − right answer (mod p)", whole=True),
        Axis("logit less mean over c"),
        series,
    )


def _spread(analysis: Analysis) -> tuple[Tensor, Tensor]:
    """Return the 5% and 95% quantile of the centred logits over all pairs, at each distance from the right answer."""
    sums, p = analysis.sums, analysis.p
    centred = sums.values - sums.values.mean(-1, keepdim=True)
    place = (torch.arange(p)[:, None] + torch.arange(p)) % p  # over (s, d): the output at distance d from s
    by_distance = centred.gather(2, place[:, None].expand(p, p, p)).reshape(p * p, p)
    low, high = (max(1, round(share * p * p)) for share in (0.05, 0.95))  # kthvalue: torch.quantile has a size limit
    return by_distance.kthvalue(low, 0).values, by_distance.kthvalue(high, 0).values


def _explained(analysis: Analysis) -> Bars:
    explained = analysis.fit.explained.values
    best = int(explained.argmax()) + 1
    return Bars(
        "Share of the variance explained by each cosine",
        f"Most by k = {best}: {float(explained[best - 1]):.2%}.",
        Axis("frequency k"),
        Axis("share of variance", low=0),
        [str(k) for k in range(1, len(explained) + 1)],
        numbers(explained),
        [str(k) for k in analysis.frequencies],
    )


def _against_cosine(analysis: Analysis, k: int) -> Dots:
    fit, p = analysis.fit, analysis.p
    others = tuple(other for other in analysis.frequencies if other != k)
    rest = fit.profile.values - (fit.curve(others) if others else 0)
    cosine = torch.cos(2 * torch.pi * (k * torch.arange(p) % p).double() / p)
    alpha = float(fit.coefficients.values[k - 1])
    line = Series(f"α = {number(alpha)}", [-1.0, 1.0], numbers([-alpha, alpha]), role="line")
    points = Series("one distance", numbers(cosine), numbers(rest), [f"c − answer = {d}" for d in range(p)], "strong")
    return Dots(
        f"k = {k}: mean logit less the other key cosines",
        f"Slope {number(alpha)} logits; the points are off the line by at most "
        f"{number(float((rest - alpha * cosine).abs().max()))}.",
        Axis(f"cos(w(a {SYMBOLS[analysis.operation]} b − c)), k = {k}", low=-1, high=1),
        Axis("logit"),
        [line, points],
    )

"""The rows of an analysis' table: every measure by its stable name. Those of the study keep the names of its files."""

import math
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from refractor.lab.composition.rep_losses import RepLoss
from refractor.lab.composition.shares import Shares
from refractor.lab.composition.study_losses import StudyLoss
from refractor.lab.pairs import SETS
from refractor.lab.rows import verdict_rows
from refractor.lab.table import Measure

if TYPE_CHECKING:
    from refractor.lab.composition.analysis import CompositionAnalysis


def analysis_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    """Yield every measure of a network.

    Yields:
        Rows in reading order.

    """
    yield from verdict_rows(analysis.verdict)
    yield from _score_rows(analysis)
    yield from _rule_rows(analysis)
    for loss in (analysis.losses.restricted, analysis.losses.with_mean, analysis.losses.excluded):
        yield from _rep_rows(loss)
    yield from _similarity_rows(analysis)
    yield from _study_rows(analysis)
    yield from _weight_rows(analysis)
    yield from _hidden_rows(analysis)
    yield from _neuron_rows(analysis)


def _score_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    n, chance = analysis.problem.order, analysis.losses.restricted.chance_loss
    for name in SETS:
        score = analysis.scores.on(name)
        if score is not None:
            meaning = f"cross-entropy on {name} pairs; ln n beside it"
            yield Measure(f"{name}_loss", score.loss, chance, "nats", meaning)
            yield Measure(
                f"{name}_acc", score.accuracy, 1 / n, "share", f"right answers on {name} pairs; 1/n beside it"
            )


def _rule_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    for result in analysis.rules:
        rule = result.keys.rule
        yield Measure(f"key_irreps.{rule}", result.keys.names, None, "irreps", result.keys.statement)
        yield Measure(
            f"rep_restricted_loss_with_mean.all.rule={rule}",
            result.restricted.all.loss,
            analysis.losses.restricted.chance_loss,
            "nats",
            "loss on all pairs with only this set and the mean; ln n beside it",
        )


def _rep_rows(loss: RepLoss) -> Iterator[Measure]:
    names = {
        "restricted": ("rep_restricted", "kept alone"),
        "restricted with mean": ("rep_restricted_with_mean", "kept with the mean"),
        "excluded": ("rep_excluded", "removed"),
    }
    stem, done = names[loss.kind]
    for kind in ("loss", "accuracy"):
        name = stem.replace("_with_mean", f"_{kind}_with_mean") if "_with_mean" in stem else f"{stem}_{kind}"
        for where in SETS:
            score = loss.scores.on(where)
            if score is None:
                continue
            value = score.loss if kind == "loss" else score.accuracy
            unit = "nats" if kind == "loss" else "share"
            meaning = f"{kind} on {where} pairs with the key irreps {done}"
            yield Measure(
                f"{name}.{where}", value, _median(loss, kind, where), unit, f"{meaning}; random sets beside it"
            )
            if where == "all":
                beside = _middle(
                    [scores.all.loss if kind == "loss" else scores.all.accuracy for scores in loss.subspaces]
                )
                tail = f"{meaning}; random subspaces of as many dimensions beside it"
                yield Measure(f"{name}.all.subspaces", value, beside, unit, tail)
    for irrep, scores in loss.each.items():
        for where in SETS:
            score = scores.on(where)
            if score is not None:
                meaning = f"loss on {where} pairs with {irrep} alone {done}; ln n beside it"
                name = stem.replace("_with_mean", "_loss_with_mean") if "_with_mean" in stem else f"{stem}_loss"
                yield Measure(f"{name}.{where}.r={irrep}", score.loss, loss.chance_loss, "nats", meaning)


def _median(loss: RepLoss, kind: str, where: str) -> float | None:
    return loss.control.median_loss(where) if kind == "loss" else loss.control.median_accuracy(where)


def _middle(values: list[float]) -> float | None:
    return median(values) if values else None


def _similarity_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    for name, value in list(analysis.similarity.items())[1:]:
        meaning = f"cosine of the centred logits with the character of {name} over (x, y, z)"
        yield Measure(f"logit_{name}_rep_trace_similarity", value, None, "", meaning)
    meaning = "share of the centred logits along the characters of all irreps: the sum of squared cosines"
    yield Measure("percent_logits_explained", analysis.fit.explained, None, "share", meaning)


def _study_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    """Yield the losses of the study: restricted on all pairs, excluded on train pairs (on all without a split)."""
    study, names = analysis.study, analysis.problem.irreps.names
    kinds: tuple[tuple[str, StudyLoss | None, str], ...] = (
        ("hidden_restricted", study.hidden_restricted, "of the hidden layer alone, without the mean"),
        ("hidden_excluded", study.hidden_excluded, "removed from the hidden layer"),
        ("logit_restricted", study.logit_restricted, "of the logits alone"),
        ("logit_excluded", study.logit_excluded, "removed from the logits"),
    )
    chance = analysis.losses.restricted.chance_loss
    for kind, loss, what in kinds:
        if loss is None:
            continue
        part = "character" if kind.startswith("logit") else "matrix entries"
        removed = kind.endswith("excluded")
        for label, scores in (("total", loss.total), *zip(names, loss.each, strict=True)):
            if label == "trivial" and part == "character":
                continue
            score = (scores.train if removed else None) or scores.all
            name = f"total_{kind}_loss" if label == "total" else f"{kind}_loss_{label}_rep"
            whose = "all key irreps (similarity rule)" if label == "total" else label
            where = "train" if removed and scores.train is not None else "all"
            meaning = f"loss on {where} pairs with the {part} of {whose} {what}; ln n beside it"
            yield Measure(name, score.loss, chance, "nats", meaning)
    if study.hidden_restricted_with_mean is not None:
        yield Measure(
            "total_hidden_restricted_loss_with_mean",
            study.hidden_restricted_with_mean.all.loss,
            chance,
            "nats",
            "total_hidden_restricted_loss with the mean of the hidden layer kept; ln n beside it",
        )
    if study.hidden_restricted is not None and analysis.scores.test is not None:
        kept = study.hidden_restricted.total.all.loss
        ratio = analysis.scores.test.loss / kept if kept > 0 else math.nan  # very large logits leave no loss at all
        meaning = "test loss over total_hidden_restricted_loss"
        yield Measure("test_loss_restricted_loss_ratio", ratio, None, "", meaning)


def _weight_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    if analysis.weights is None:
        return
    shares = analysis.weights.embeddings
    for stem, share, what in (
        ("x_embed", shares.first, "the first embedding"),
        ("y_embed", shares.second, "the second embedding"),
        ("unembed", shares.unembedding, "the unembedding"),
    ):
        if share is not None:
            yield from _share_rows(analysis, f"percent_{stem}", share, what)
            yield _total_row(analysis, f"percent_{stem}_explained", share, what)
    for stem, share in zip(("x_embed", "y_embed"), shares.centred, strict=True):
        yield from _share_rows(analysis, f"centred_percent_{stem}", share, "the embedding without its mean")
    if not math.isnan(analysis.weights.gradient_symmetricity):
        yield Measure(
            "gradient_symmetricity",
            analysis.weights.gradient_symmetricity,
            None,
            "",
            "mean cosine of a logit's gradients at the embeddings of x and y; no label is drawn from it",
        )
    yield Measure(
        "distance_irrelevance",
        analysis.weights.distance_irrelevance,
        None,
        "",
        "spread of the correct logit among pairs with one x · y⁻¹ over its spread; no label is drawn from it",
    )
    yield Measure(
        "circularity",
        analysis.weights.circularity,
        None,
        "share",
        "of the leading principal components of the first embedding, in one irrep each",
    )
    yield Measure(
        "sum_of_squared_weights",
        analysis.weights.sum_of_squared_weights,
        None,
        "",
        "squares of all parameters, added up",
    )


def _hidden_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    weights, places = analysis.weights, analysis.study.keys.places
    if weights is None or weights.hidden is None or weights.two_sided is None:
        return
    hidden = weights.hidden
    sides = (("x", hidden.first, "ρ(x)"), ("y", hidden.second, "ρ(y)"), ("xy", hidden.answer, "ρ(x · y)"))
    for side, share, what in sides:
        yield from _share_rows(analysis, f"percent_hidden_{side}", share, f"the hidden layer, as functions {what},")
    null = hidden.first.null + hidden.second.null + hidden.answer.null
    total = Shares(hidden.total, null)
    for name, value, beside in zip(
        analysis.problem.irreps.names, total.values.tolist(), total.null.tolist(), strict=True
    ):
        meaning = f"share of the hidden layer in ρ(x), ρ(y) and ρ(x · y) of {name}; its dimensions' share beside it"
        yield Measure(f"total_percent_hidden_{name}_rep", value, beside, "share", meaning)
    yield _total_row(analysis, "percent_hidden_explained", total, "the hidden layer, in ρ(x), ρ(y) and ρ(x · y),")
    yield _total_row(analysis, "percent_hidden_xy_explained", hidden.answer, "the hidden layer, in ρ(x · y),")
    meaning = "share of the hidden layer in products of a function of x and one of y, of key or trivial irreps"
    yield Measure(
        "two_sided_hidden_explained",
        weights.two_sided.within(places),
        weights.two_sided.null_within(places),
        "share",
        f"{meaning}; their dimensions' share beside it",
    )


def _share_rows(analysis: "CompositionAnalysis", stem: str, share: Shares, what: str) -> Iterator[Measure]:
    for name, value, null in zip(
        analysis.problem.irreps.names, share.values.tolist(), share.null.tolist(), strict=True
    ):
        meaning = f"share of {what} in the matrix entries of {name}; its dimensions' share beside it"
        yield Measure(f"{stem}_{name}_rep", value, null, "share", meaning)


def _total_row(analysis: "CompositionAnalysis", name: str, share: Shares, what: str) -> Measure:
    places = analysis.study.keys.places
    meaning = f"share of {what} in the key irreps (similarity rule); their dimensions' share beside it"
    return Measure(name, share.of(places), share.null_of(places), "share", meaning)


def _neuron_rows(analysis: "CompositionAnalysis") -> Iterator[Measure]:
    if analysis.weights is None or analysis.weights.neurons is None:
        return
    for side, neurons in zip(("x", "y"), analysis.weights.neurons, strict=True):
        total = len(neurons.purity.values)
        meaning = f"of {total}, with more than 0.95 of what {side} gives them in one irrep; {neurons.dead} are dead"
        yield Measure(f"neurons.pure.{side}", neurons.pure, None, "neurons", meaning)
        for name, count in neurons.counts.items():
            yield Measure(f"neurons.pure.{side}.r={name}", count, None, "neurons", f"of {total}, pure in {name}")
    cosets = analysis.weights.cosets
    if cosets is not None:
        total = len(cosets.first)
        for order, count in cosets.orders.items():
            meaning = f"of {total}, whose largest subgroup with constant cosets (up to {cosets.cut:g}) has this order"
            yield Measure(f"neurons.cosets.order={order}", count, None, "neurons", meaning)
        meaning = f"of {total}, with left cosets of a conjugate for y"
        yield Measure("neurons.cosets.conjugate", sum(cosets.conjugate), None, "neurons", meaning)

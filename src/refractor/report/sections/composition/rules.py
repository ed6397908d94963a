"""The rules that pick key irreps, side by side, and what each irrep does alone."""

from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Mark, Section, Table, WideBars
from refractor.report.sections.composition.words import irrep_axis, set_of, short_names
from refractor.report.sections.words import number
from refractor.report.snippets import composition_snippet

RULES = {"given": "Given", "embedding": "a. Logits and embeddings", "similarity": "b. Logits alone"}


def rules_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw the loss with one irrep kept or removed, and list each rule's set with its restricted loss."""
    title = "Key rules side by side"
    text = (
        "Which irreps are key is a convention. The study of 2023 cuts at a similarity of 0.005; that also picks "
        "harmonics that the nonlinearity makes of a key irrep, which the embeddings do not hold. This page uses the "
        "first rule of the table. Each set is judged by its own restricted loss."
    )
    losses = analysis.losses
    where = "test" if losses.network.test is not None else "all"
    figure = Figure(
        "rules-single",
        f"One irrep kept, or removed, on {where} pairs",
        "Kept alone with the mean, an irrep that is enough by itself has a low loss; removed, one that is needed has a "
        "high one. Several irreps together may be enough where none is alone.",
        "What sets of irreps do: the parts do not add up in the loss.",
        composition_snippet(name, "kept, removed = analysis.losses.with_mean.each, analysis.losses.excluded.each"),
        (_single("Kept alone, with the mean", analysis, kept=True), _single("Removed", analysis, kept=False)),
    )
    return Section("rules", title, text, (figure,), (), (_table(analysis), _controls(analysis)))


def _single(title: str, analysis: CompositionAnalysis, *, kept: bool) -> Bars:
    losses = analysis.losses.with_mean if kept else analysis.losses.excluded
    values = [scores.unseen.loss for name, scores in losses.each.items() if name != "trivial"]
    names = short_names(analysis)[1:]
    extreme = min(values) if kept else max(values)
    kind = WideBars if len(names) > 12 else Bars
    return kind(
        title,
        f"{'Lowest' if kept else 'Highest'}: {number(extreme)} for "
        f"{analysis.problem.irreps.names[values.index(extreme) + 1]}.",
        Axis(irrep_axis(analysis)),
        Axis("loss, nats", low=0),
        names,
        numbers(values),
        [names[place - 1] for place in analysis.keys.places],
        [Mark(losses.chance_loss, "ln n", "y")],
    )


def _table(analysis: CompositionAnalysis) -> Table:
    rows = tuple(
        (
            RULES.get(rule.keys.rule, rule.keys.rule),
            rule.keys.statement,
            set_of(rule.keys.names, analysis),
            number(rule.restricted.all.loss),
            number(rule.restricted.all.accuracy),
        )
        for rule in analysis.rules
    )
    chance = number(analysis.losses.restricted.chance_loss)
    heads = ("rule", "picks an irrep where", "set", "restricted loss", "accuracy")
    return Table(f"Only the set and the mean, over all pairs (ln n = {chance})", heads, rows)


def _controls(analysis: CompositionAnalysis) -> Table:
    rows = []
    losses = analysis.losses
    kinds = ((losses.restricted, "kept alone"), (losses.with_mean, "kept with the mean"), (losses.excluded, "removed"))
    for loss, what in kinds:
        spaces = sorted(scores.all.loss for scores in loss.subspaces)
        random = number(spaces[len(spaces) // 2]) if spaces else "none exist"
        others = number(loss.control.median_loss()) if loss.control.sets else "none exist"
        rows.append((what, number(loss.scores.all.loss), number(loss.scores.all.accuracy), others, random))
    heads = ("key irreps", "loss", "accuracy", "median loss, random sets", "median loss, random subspaces")
    return Table("Key irreps and their controls, over all pairs", heads, tuple(rows))

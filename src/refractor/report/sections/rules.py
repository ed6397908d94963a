"""The rules that pick key frequencies, side by side."""

from refractor.lab.analysis import Analysis
from refractor.lab.frequencies import RuleResult
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Mark, Section, Table
from refractor.report.sections.words import frequency_set, number
from refractor.report.snippets import analysis_snippet

RULES = {
    "logits": ("Logits", "cosine similarity"),
    "given": ("Given", "cosine similarity"),
    "embedding": ("a. Embedding", "norm of W_E"),
    "neuron_logit_map": ("b. Neuron-to-logit map", "norm of W_L"),
    "neurons": ("c. Neurons", "neurons above the cut"),
}


def rules_section(analysis: Analysis, name: str) -> Section:
    """Draw the statistic that each rule cuts, and list each set with its restricted loss."""
    title = "Key rules side by side"
    text = (
        "Three rules of Nanda et al. (2023) pick key frequencies from weights and neurons; this page uses a fourth, "
        "which needs logits alone. Each set is judged by its own restricted loss, beside random sets of its size."
    )
    figure = Figure(
        "rules-statistics",
        "What each rule cuts, and where",
        "Filled bars are the frequencies that the rule picks. Where the rules agree, embedding, neurons and logits "
        "work with the same frequencies; a rule that picks more, with no lower restricted loss, picks frequencies "
        "that nothing needs.",
        "Which set is right. Where a rule cuts is a convention; a bar just below the cut may matter, as "
        "a lower restricted loss of a larger set shows.",
        analysis_snippet(name, "sets = {rule.keys.rule: rule.keys.frequencies for rule in analysis.rules}"),
        tuple(_panel(rule) for rule in analysis.rules),
    )
    absent = ()
    if analysis.network is not None and analysis.network.neurons is None:
        absent = ("Rules b and c need neurons; this network has no MLP.",)
    return Section("rules", title, text, (figure,), absent, (_table(analysis),))


def _panel(rule: RuleResult) -> Bars:
    keys, (title, unit) = rule.keys, RULES[rule.keys.rule]
    marks = [Mark(keys.threshold, "cut", "y")] if keys.threshold > 0 else []
    return Bars(
        title,
        f"Picks {frequency_set(keys.frequencies, 2 * len(keys.statistic.values) + 1)}: {keys.statement}.",
        Axis("frequency k"),
        Axis(unit),
        [str(k) for k in keys.statistic.along("freq")],
        numbers(keys.statistic.values),
        [str(k) for k in keys.frequencies],
        marks,
    )


def _table(analysis: Analysis) -> Table:
    heads = ("rule", "picks k where", "set", "restricted loss", "accuracy", "random sets: median loss, accuracy")
    rows = []
    for rule in analysis.rules:
        score, control = rule.restricted.scores.all, rule.restricted.control
        random = "no other set exists"
        if control.sets:
            random = f"{number(control.median_loss())}, {number(control.median_accuracy())}"
        rows.append(
            (
                RULES[rule.keys.rule][0],
                rule.keys.statement,
                frequency_set(rule.keys.frequencies, analysis.p),
                number(score.loss),
                number(score.accuracy),
                random,
            )
        )
    return Table(f"Restricted loss over all pairs (ln p = {number(analysis.chance_loss)})", heads, tuple(rows))

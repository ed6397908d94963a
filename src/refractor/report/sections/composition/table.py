"""The multiplication table: what the network has to know."""

import torch

from refractor.groups import conjugacy_classes, left_cosets
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.report.figures import Figure, Heat, Section
from refractor.report.sections.composition.arrangement import by_class, by_coset, coset_names
from refractor.report.sections.composition.maps import map_of_pairs
from refractor.report.snippets import composition_snippet


def table_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw the right answers over (x, y): by number or class, and by the cosets of a large subgroup."""
    problem = analysis.problem
    group, formula = problem.group, problem.formula
    title = "Multiplication table"
    text = (
        f"The right answers: {formula} for all {group.order}² pairs of elements of {group.name}. Nothing here comes "
        "from the network."
    )
    by_coset_map = _by_coset(analysis)
    absent = (
        ()
        if by_coset_map
        else (f"{group.name} has no subgroup between the trivial one and itself, or too many to search.",)
    )
    figure = Figure(
        "table-answers",
        f"{formula} over all pairs",
        _see(analysis, with_cosets=by_coset_map is not None),
        "What the network does with it. Other subgroups give other pictures.",
        composition_snippet(name, "answers = analysis.problem.answers  # over (x, y)"),
        (_answers(analysis), by_coset_map) if by_coset_map else (_answers(analysis),),
    )
    return Section("table", title, text, (figure,), absent)


def _see(analysis: CompositionAnalysis, *, with_cosets: bool) -> str:
    first = (
        "The answer to each pair."
        if analysis.problem.group.is_abelian
        else "The conjugacy class of each answer, with elements of one class side by side."
    )
    second = (
        " Then, with elements sorted by the cosets of a large subgroup H, the coset of the answer. It takes few "
        "values; where H is normal, each block has one. A network may answer by cosets before it tells elements apart."
    )
    return first + second if with_cosets else first


def _answers(analysis: CompositionAnalysis) -> Heat:
    problem = analysis.problem
    order = by_class(problem.group)
    answers = problem.answers[order.elements][:, order.elements]
    if problem.group.is_abelian:
        kinds = problem.group.labels if problem.order <= 250 else ()  # a byte holds 255 kinds
        return map_of_pairs("The answer", answers.double(), order, order, kinds)
    classes = conjugacy_classes(problem.group)
    names = [f"class of {problem.group.labels[element]}" for element in classes.representatives.tolist()]
    return map_of_pairs("Conjugacy class of the answer", classes.index[answers].double(), order, order, names)


def _by_coset(analysis: CompositionAnalysis) -> Heat | None:
    if not analysis.problem.subgroups:
        return None
    subgroup = analysis.problem.subgroups[0][0]
    order, cosets = by_coset(subgroup, left=True), left_cosets(subgroup)
    values = cosets[analysis.problem.answers[order.elements][:, order.elements]]
    title = f"Left coset of the answer, of a subgroup H of order {subgroup.order}"
    names = coset_names(subgroup, cosets, "x H")
    return map_of_pairs(title, values.to(torch.float64), order, order, names)

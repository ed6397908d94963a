"""What was proposed about how irreps are multiplied: cosets, ρ-sets with a certificate, clock and pizza measures."""

import math

from refractor.base.errors import ArgumentError
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.certificate import Certificate, certify
from refractor.lab.composition.cosets import NeuronCosets
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Section, Table
from refractor.report.sections.words import number
from refractor.report.snippets import composition_snippet


def circuits_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw how many neurons see cosets of which subgroups; list what ρ-sets prove and the measures without a label."""
    title = "Cosets, ρ-sets, clocks and pizzas"
    text = (
        "Several accounts of how such networks multiply have been given, and which holds for a single network is "
        "disputed. So what they measure is given here without a label."
    )
    weights = analysis.weights
    if weights is None:
        return Section("circuits", title, text, absent=("Only logits were given, so there are no weights to look at.",))
    absent = []
    figures = ()
    if weights.cosets is None:
        absent.append("Cosets are looked for where a neuron adds what x and y give it, in groups with few subgroups.")
    else:
        figures = (_cosets(weights.cosets, analysis, name),)
    tables = [_unlabelled(analysis)]
    try:
        tables.append(_certificate(certify(analysis.view), analysis))
    except ArgumentError as error:
        absent.append(f"No certificate from ρ-sets: {error}")
    return Section("circuits", title, text, figures, tuple(absent), tuple(tables))


def _cosets(cosets: NeuronCosets, analysis: CompositionAnalysis, name: str) -> Figure:
    total = len(cosets.first)
    found = cosets.orders
    none = total - sum(found.values())
    labels = [str(order) for order in found] + ["none"]
    conjugate = sum(cosets.conjugate)
    panel = Bars(
        f"Largest H on whose right cosets H x a neuron is constant, by its order (of {analysis.problem.order})",
        f"{total - none} of {total} neurons have one; for {conjugate} of them, what y gives is constant on the left "
        "cosets of a conjugate of H.",
        Axis("order of H"),
        Axis("neurons", low=0, whole=True),
        labels,
        numbers([float(count) for count in (*found.values(), none)]),
        labels[:-1],
    )
    return Figure(
        "circuits-cosets",
        "Neurons that see only cosets",
        f"For each neuron, what x gives it, and the largest proper subgroup on whose right cosets that is constant up "
        f"to {cosets.cut:.0%} of its variance. Neurons of a few large subgroups are what the account by cosets "
        "(Stander et al. 2024) looks for.",
        "Which account is right: neurons of an irrep that a subgroup leaves something of fixed are often close to "
        "constant on its cosets as well.",
        composition_snippet(name, "cosets = analysis.weights.cosets  # .first, .second, .orders, .conjugate"),
        (panel,),
    )


def _unlabelled(analysis: CompositionAnalysis) -> Table:
    weights = analysis.weights
    rows = []
    if weights is not None:
        for what, value, meaning in (
            (
                "gradient symmetricity",
                weights.gradient_symmetricity,
                "cosine of the gradients of a logit at the embeddings of x and y, where both use one embedding",
            ),
            (
                "distance irrelevance",
                weights.distance_irrelevance,
                "spread of the correct logit among pairs with the same x · y⁻¹, over its spread in all",
            ),
            (
                "circularity",
                weights.circularity,
                "share of the first principal components of the embedding of x that one irrep explains, on average",
            ),
        ):
            rows.append((what, "not defined here" if math.isnan(value) else number(value), meaning))
    return Table("Measures after Zhong et al. (2023), without a label", ("measure", "value", "meaning"), tuple(rows))


def _certificate(found: Certificate, analysis: CompositionAnalysis) -> Table:
    ideal = found.network
    names = analysis.problem.irreps.names
    sets = ", ".join(f"{one.size} vectors of {names[one.irrep]} ({len(one.neurons)} neurons)" for one in ideal.sets)
    proved = f"vacuous: {number(found.certified)}" if found.is_vacuous else number(found.certified)
    rows = (
        ("ρ-sets found", sets or "none"),
        ("neurons in none of them", f"{ideal.unassigned} of {ideal.width}"),
        ("pairs of vectors that no neuron has", str(ideal.missing)),
        ("lead of the right answer in the idealised network", number(found.margin)),
        ("accuracy of the idealised network", number(found.ideal_accuracy)),
        ("accuracy that the bound proves", proved),
        ("accuracy by computing every answer", number(found.accuracy)),
    )
    caption = "The idealised network of ρ-sets, and what it proves (after Wu et al. 2025, with a bound that is sound)"
    return Table(caption, ("what", "value"), rows)

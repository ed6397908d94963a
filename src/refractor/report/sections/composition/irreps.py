"""Which irreps logits, embeddings and unembedding hold: bars over all irreps of the group."""

from refractor.groups import conjugacy_classes
from refractor.lab.composition.analysis import CompositionAnalysis
from refractor.lab.composition.parts import quotients
from refractor.lab.composition.shares import Shares
from refractor.report.encode import numbers
from refractor.report.figures import Axis, Bars, Figure, Mark, Section, WideBars
from refractor.report.sections.composition.words import irrep_axis, key_set, short_names
from refractor.report.sections.words import number
from refractor.report.snippets import composition_snippet

THRESHOLD = 0.005  # of the similarity rule; drawn where it can be seen
MOST_NARROW = 12  # bars that have room beside another panel
DIMENSIONS = "share of its dimensions"


def irreps_section(analysis: CompositionAnalysis, name: str) -> Section:
    """Draw similarity and shares of every irrep, the share of its dimensions beside it."""
    title = "Irreps of logits, embeddings and unembedding"
    text = (
        "A function on a group is a sum of parts, one for each irreducible representation. A network that multiplies "
        f"matrices of a few irreps has these parts and hardly any other. Key irreps, here {key_set(analysis)}, are "
        "filled."
    )
    logits = Figure(
        "irreps-logits",
        "Logits along the characters",
        "The similarity of an irrep is the cosine between the logits (less their mean over z) and its character "
        "χ(x y z⁻¹) over all (x, y, z): the shape that the logits have if the network takes the trace of a product of "
        f"matrices. All characters together explain {analysis.fit.explained:.1%} of the logits. Then the mean logit "
        "for each conjugacy class of (answer) z⁻¹, and what the key characters alone would give.",
        "Parts of the logits that are in an irrep but not along its character, and how they come about. A network "
        "that merely knows all answers has every irrep, in proportion to its dimension.",
        composition_snippet(name, "similarity, weight = analysis.fit.similarity, analysis.fit.weight  # by irrep"),
        (_similarity(analysis), _profile(analysis)),
    )
    weights = analysis.weights
    if weights is None:
        return Section("irreps", title, text, (logits,), ("Only logits were given, so there are no weights.",))
    embeddings = weights.embeddings
    panels = [
        _shares("Embedding of x", embeddings.first, analysis),
        _shares("Embedding of y", embeddings.second, analysis),
    ]
    if analysis.view.first_embedding is analysis.view.second_embedding:
        panels = [_shares("Embedding", embeddings.first, analysis)]
    if embeddings.unembedding is not None:
        panels.append(_shares("Output map, over z", embeddings.unembedding, analysis))
    if weights.hidden is not None:
        hidden = weights.hidden
        null = hidden.first.null + hidden.second.null + hidden.answer.null
        panels.append(_shares("Hidden layer, in ρ(x), ρ(y) and ρ(x y)", Shares(hidden.total, null), analysis))
    absent = () if weights.hidden is not None else ("This network has no MLP, so there is no hidden layer.",)
    figure = Figure(
        "irreps-shares",
        "Share of each irrep in weights and hidden layer",
        "The share of the sum of squares that lies in the matrix entries of each irrep, beside the share that a random "
        "array would have there (the tick): d² of n dimensions for an irrep of d real dimensions. Bars far above their "
        "tick are what the network learned.",
        "Whether a tall bar is used. No share is a target: a network may have the right irreps and still answer wrong. "
        "The hidden layer's three kinds leave out products of a function of x and one of y, which the next figure has.",
        composition_snippet(name, "shares = analysis.weights.embeddings, analysis.weights.hidden"),
        tuple(panels),
    )
    return Section("irreps", title, text, (logits, figure), absent)


def _similarity(analysis: CompositionAnalysis) -> Bars:
    values = analysis.fit.similarity[1:]
    names = short_names(analysis)[1:]
    best = int(values.argmax()) if len(values) else 0
    marks = [Mark(THRESHOLD, "", "y")] if float(values.max()) < 20 * THRESHOLD else []
    kind = WideBars if len(names) > MOST_NARROW else Bars
    return kind(
        "Similarity of the logits with each character",
        f"Largest for {analysis.problem.irreps.names[best + 1]}: {number(float(values[best]))}.",
        Axis(irrep_axis(analysis)),
        Axis("cosine"),
        names,
        numbers(values),
        [names[place - 1] for place in analysis.keys.places],
        marks,
    )


def _profile(analysis: CompositionAnalysis) -> Bars:
    problem = analysis.problem
    classes = conjugacy_classes(problem.group)
    centred = analysis.means.logits - analysis.means.logits.mean(1, keepdim=True)
    index = classes.index[quotients(problem)]
    totals = centred.new_zeros(len(classes)).index_add_(0, index.flatten(), centred.flatten())
    mean = totals / (classes.sizes * problem.order)
    keys = list(analysis.keys.places)
    fitted = analysis.fit.weight[keys] @ problem.irreps.characters[keys][:, classes.representatives]
    labels = [problem.group.labels[element] for element in classes.representatives.tolist()]
    kind = WideBars if len(labels) > MOST_NARROW else Bars
    return kind(
        "Mean logit by conjugacy class of (answer) z⁻¹",
        f"{number(float(mean[0]))} at the right answer, at most {number(float(mean[1:].max()))} elsewhere.",
        Axis("class of"),
        Axis("logit less mean over z"),
        labels,
        numbers(mean),
        [problem.group.labels[problem.group.identity]],
        beside=numbers(fitted),
        legend=("mean logit; the right answer filled", "key characters alone"),
    )


def _shares(title: str, shares: Shares, analysis: CompositionAnalysis) -> Bars:
    names = short_names(analysis)
    best = int(shares.values.argmax())
    kind = WideBars if len(names) > MOST_NARROW else Bars
    return kind(
        title,
        f"Most in {analysis.problem.irreps.names[best]}: {float(shares.values[best]):.1%}, where a random array would "
        f"have {float(shares.null[best]):.2%}.",
        Axis(irrep_axis(analysis)),
        Axis("share", low=0),
        names,
        numbers(shares.values),
        [names[place] for place in analysis.keys.places],
        beside=numbers(shares.null),
        legend=("share; key irreps filled", DIMENSIONS),
    )

"""`analyse`: what anybody's network does, from its logits; `analyse_network`: from weights and neurons as well."""

from collections.abc import Iterable

import torch
from torch import Tensor

from refractor.lab.analysis import Analysis
from refractor.lab.controls import COUNT, control_generator
from refractor.lab.frequencies import (
    KeyFrequencies,
    RuleResult,
    key_frequencies_of_logits,
)
from refractor.lab.logit_fit import LogitFit, cosine_fit_scores, fit_logits
from refractor.lab.mixer import frequency_mixer
from refractor.lab.network import NetworkView, view_network
from refractor.lab.network_measures import measure_view
from refractor.lab.operations import operation_of
from refractor.lab.pairs import PairSets, pair_sets
from refractor.lab.projection import check_frequencies
from refractor.lab.scores import network_scores
from refractor.lab.sums import Logits, SumLogits, sum_logits
from refractor.lab.trig_losses import trig_excluded_loss, trig_restricted_loss
from refractor.lab.verdict import reach_verdict
from refractor.models.transformer import HookedTransformer
from refractor.tasks.modular import ModularArithmetic
from refractor.tasks.splits import Split


def analyse(
    logits: Logits,
    *,
    p: int,
    operation: str = "addition",
    train: Tensor | None = None,
    test: Tensor | None = None,
    frequencies: Iterable[int] | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> Analysis:
    """Measure anybody's network from its logits on all pairs.

    The key frequencies are those whose cosine similarity with the logits is above a sixteenth of the largest
    (`key_frequencies_of_logits`), unless they are given.

    Args:
        logits: over (a, b, c), [p, p, p] or [p * p, p] with pairs in a-major order; numpy or torch, any real floating
            dtype. Losses are computed in float64.
        p: the modulus.
        operation: "addition" (the right answer is a + b) or "subtraction" (a - b).
        train: rows `a * p + b` of the pairs trained on, if they are known.
        test: rows held out; all the others when left out.
        frequencies: a set to use instead of the rule's.
        controls: number of random frequency sets of the same size.
        generator: what draws them; a fresh one with seed 0 when left out.

    Returns:
        An `Analysis`; see `.verdict`, `.finding`, `.table()`.

    Raises:
        ShapeError: wrong axes, sizes or dtype; the message names them.
        ArgumentError: p below 2, a logit that is not finite, rows or frequencies out of range, an unknown operation.

    >>> from refractor.lab.analytic import cosine_logits
    >>> analysis = analyse(cosine_logits(59, {7: 20.0, 11: 20.0, 23: 20.0}), p=59)
    >>> analysis.frequencies, analysis.verdict.claim
    ((7, 11, 23), 'computes a + b mod 59 with the frequencies {7, 11, 23}')

    """
    sums, pairs = sum_logits(logits, p, operation), pair_sets(p, train, test)
    fit = fit_logits(sums)
    keys = key_frequencies_of_logits(fit)
    return _measure(sums, pairs, fit, (_given(frequencies, keys, p), keys), controls, generator, None)


def analyse_network(
    model: HookedTransformer,
    task: ModularArithmetic,
    split: Split | None = None,
    *,
    frequencies: Iterable[int] | None = None,
    controls: int = COUNT,
    generator: torch.Generator | None = None,
) -> Analysis:
    """Measure a transformer: its logits, and also its embedding, neurons, attention and neuron-to-logit map.

    The weights are copied to float64 on the CPU; user hooks take no part. The key frequencies are those of the logits,
    so that networks without MLPs and other people's logits are judged alike; the three rules of Nanda et al. stand
    beside them with their own restricted losses.

    Args:
        model: the network; its last position answers.
        task: modular addition or subtraction.
        split: the pairs trained on and held out; None when they are not known.
        frequencies: a set to use instead of the rule's.
        controls: number of random frequency sets of the same size.
        generator: what draws them; a fresh one with seed 0 when left out.

    Returns:
        An `Analysis` whose `network` and `view` are filled.

    Raises:
        ShapeError: the task's tokens do not have one row for each pair.
        ArgumentError: the network does not fit the task, the task is no sum, or a logit is not finite.

    """
    p = task.p
    operation = operation_of(task)
    pairs = pair_sets(p) if split is None else pair_sets(p, split.train, split.test)
    view = view_network(model, task.tokens(), p)
    sums = sum_logits(view.logits, p, operation)
    fit = fit_logits(sums)
    keys = key_frequencies_of_logits(fit)
    return _measure(sums, pairs, fit, (_given(frequencies, keys, p), keys), controls, generator, view)


def _given(frequencies: Iterable[int] | None, keys: KeyFrequencies, p: int) -> KeyFrequencies:
    if frequencies is None:
        return keys
    chosen = check_frequencies(frequencies, p)
    return KeyFrequencies("given", "given by the caller", chosen, keys.statistic, keys.threshold)


def _measure(
    sums: SumLogits,
    pairs: PairSets,
    fit: LogitFit,
    sets: tuple[KeyFrequencies, ...],
    controls: int,
    generator: torch.Generator | None,
    view: NetworkView | None,
) -> Analysis:
    keys = sets[0]
    seed = int(torch.randint(2**62, (), generator=control_generator(generator)))

    def control() -> torch.Generator:  # a fresh one each time, so that sets of one size are the same in every measure
        return torch.Generator().manual_seed(seed)

    scores = network_scores(sums, pairs)
    network, more = (None, ()) if view is None else measure_view(view, keys.frequencies, sums.operation)
    rules = {candidate.rule: candidate for candidate in (*sets, *more)}.values()
    results = tuple(
        RuleResult(
            rule,
            trig_restricted_loss(sums, rule.frequencies, pairs=pairs, controls=controls, generator=control()),
        )
        for rule in rules
    )
    excluded = trig_excluded_loss(sums, keys.frequencies, pairs=pairs, controls=controls, generator=control())
    restricted = results[0].restricted
    return Analysis(
        p=sums.p,
        operation=sums.operation,
        sums=sums,
        pairs=pairs,
        scores=scores,
        keys=keys,
        rules=results,
        restricted=restricted,
        excluded=excluded,
        fit=fit,
        cosine_fit=cosine_fit_scores(fit, keys.frequencies, sums, pairs),
        mixer=frequency_mixer(sums, keys.frequencies, pairs, fit),
        verdict=reach_verdict(sums.operation, sums.p, scores, restricted, excluded),
        network=network,
        view=view,
    )

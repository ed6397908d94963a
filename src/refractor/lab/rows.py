"""The rows of an analysis' table: every measure by its stable name."""

from collections.abc import Iterator

from refractor.lab.conditions import Verdict
from refractor.lab.frequencies import RuleResult
from refractor.lab.logit_fit import LogitFit
from refractor.lab.network_measures import NetworkMeasures
from refractor.lab.pairs import SETS
from refractor.lab.scores import Scores, chance_loss
from refractor.lab.table import Measure
from refractor.lab.trig_losses import TrigLoss


def verdict_rows(verdict: Verdict) -> Iterator[Measure]:
    """Yield the claim and its conditions."""
    control = "no algorithm found unless all four conditions hold"
    yield Measure("verdict", verdict.claim, control, "", "the claim that the measures support")
    for condition in verdict.conditions:
        yield Measure(
            f"verdict.{condition.name}", "passed" if condition.passed else "failed", None, "", condition.sentence
        )


def score_rows(scores: Scores, p: int) -> Iterator[Measure]:
    """Yield loss and accuracy of the network itself."""
    for name in SETS:
        score = scores.on(name)
        if score is not None:
            yield Measure(
                f"loss.{name}", score.loss, chance_loss(p), "nats", f"cross-entropy on {name} pairs; ln p beside it"
            )
            yield Measure(
                f"accuracy.{name}", score.accuracy, 1 / p, "share", f"right answers on {name} pairs; 1/p beside it"
            )


def rule_rows(rules: tuple[RuleResult, ...]) -> Iterator[Measure]:
    """Yield every rule's set and its restricted loss."""
    for result in rules:
        rule, keys = result.keys.rule, result.keys
        yield Measure(f"key_frequencies.{rule}", keys.frequencies, None, "frequencies", keys.statement)
        yield Measure(
            f"restricted_loss.all.rule={rule}",
            result.restricted.scores.all.loss,
            result.restricted.control.median_loss(),
            "nats",
            "restricted loss with this set; median of random sets of its size beside it",
        )


def trig_rows(loss: TrigLoss) -> Iterator[Measure]:
    """Yield a restricted or excluded loss, together and one frequency at a time."""
    what = "kept with the mean" if loss.kind == "restricted" else "removed"
    for name in SETS:
        score = loss.scores.on(name)
        if score is not None:
            tail = f"on {name} pairs with the key frequencies {what}; median of random sets beside it"
            yield Measure(
                f"{loss.kind}_loss.{name}", score.loss, loss.control.median_loss(name), "nats", f"loss {tail}"
            )
            yield Measure(
                f"{loss.kind}_accuracy.{name}",
                score.accuracy,
                loss.control.median_accuracy(name),
                "share",
                f"accuracy {tail}",
            )
    for k, scores in loss.each.items():
        for name in SETS:
            score = scores.on(name)
            if score is not None:
                meaning = f"loss on {name} pairs with frequency {k} alone {what}; ln p beside it"
                yield Measure(f"{loss.kind}_loss.{name}.k={k}", score.loss, loss.chance_loss, "nats", meaning)


def fit_rows(fit: LogitFit, cosine_fit: Scores, chosen: tuple[int, ...]) -> Iterator[Measure]:
    """Yield how well the logits are a sum of the key frequencies' cosines."""
    yield Measure(
        "logit_explained_variance",
        fit.explained_by(chosen),
        sum(1 if 2 * k == fit.p else 2 for k in chosen) / (fit.p - 1),
        "share",
        "variance of the centred logits that cos w_k(s - c) of the key frequencies explain; a table of right answers "
        "beside it",
    )
    for k in chosen:
        explained = float(fit.explained.values[k - 1])
        yield Measure(f"logit_explained_variance.k={k}", explained, None, "share", f"the same for frequency {k} alone")
    for k in chosen:
        alpha = float(fit.coefficients.values[k - 1])
        yield Measure(f"logit_coefficient.k={k}", alpha, None, "logits", f"amplitude of cos w_k(s - c) for k = {k}")
    yield Measure(
        "cosine_fit_loss",
        cosine_fit.all.loss,
        chance_loss(fit.p),
        "nats",
        "loss of the fitted cosines alone; ln p beside it",
    )


def network_rows(network: NetworkMeasures) -> Iterator[Measure]:
    """Yield the measures of weights and activations."""
    for name, spectrum in (("W_E", network.embedding), ("W_L", network.neuron_logit_map)):
        if spectrum is not None:
            meaning = f"Gini coefficient of the Fourier norms of {name}; Gaussian noise beside it"
            yield Measure(f"gini.{name}", spectrum.gini, spectrum.noise_gini, "", meaning)
    residual = network.map_residual
    if residual is not None:
        outside = "of W_L = W_out W_U outside the key frequencies; a map with equal components beside it"
        yield Measure("map_residual.norm", residual.norm, residual.even**0.5, "share", f"norm {outside}")
        yield Measure("map_residual.energy", residual.energy, residual.even, "share", f"energy {outside}")
    yield from _neurons(network)
    for fit in network.directions:
        wave = (
            "share of N u_k that cos w_k s explains"
            if fit.sine is None
            else "share of N u_k, N v_k that cos, sin w_k s explain"
        )
        yield Measure(f"direction_explained_variance.cos.k={fit.frequency}", fit.cosine, None, "share", wave)
        if fit.sine is not None:
            yield Measure(f"direction_explained_variance.sin.k={fit.frequency}", fit.sine, None, "share", wave)
    yield Measure(
        "sum_of_squared_weights", network.sum_of_squared_weights, None, "", "squares of all parameters, added up"
    )


def _neurons(network: NetworkMeasures) -> Iterator[Measure]:
    if network.neurons is None:
        return
    total = network.neurons.share.values.numel()
    cut = f"{network.neurons.cut:g} of their variance"
    yield Measure(
        "neurons.above_cut", network.neurons.above_cut, None, "neurons", f"of {total}, with one frequency above {cut}"
    )
    for cluster in network.neurons.clusters:
        k = cluster.frequency
        yield Measure(
            f"neurons.above_cut.k={k}",
            len(cluster.neurons),
            None,
            "neurons",
            f"of {total}, with frequency {k} above {cut}",
        )
        yield Measure(
            f"neurons.explained_variance.k={k}",
            cluster.explained_variance,
            None,
            "share",
            f"of the cluster's variance, by frequency {k}",
        )

"""The frequency mixer: a network's logits for one pair, beside the sum of the cosines that are switched on."""

from torch import Tensor

from refractor.lab.analysis import Analysis
from refractor.lab.operations import SIGNS, SYMBOLS
from refractor.lab.scores import Score
from refractor.report.encode import numbers, plain, quantise
from refractor.report.figures import Figure, Mixer
from refractor.report.sections.words import frequency_set, number
from refractor.report.snippets import analysis_snippet

MOST_BYTES = 2_000_000  # of logits: 2.7 MB in base64


def mixer_figure(analysis: Analysis, name: str) -> Figure | None:
    """Return the mixer; None where no frequency is key."""
    mixer, p = analysis.mixer, analysis.p
    if not mixer.frequencies:
        return None
    bs = kept_operands(p)
    logits = quantise(_centred(analysis)[:, bs], centred=True)
    left = f" Not switchable, weaker: {frequency_set(mixer.left_out, p)}." if mixer.left_out else ""
    thinned = "" if len(bs) == p else f" To keep the page small, only {len(bs)} values of b are there."
    subsets = [
        tuple(k for bit, k in enumerate(mixer.frequencies) if mask >> bit & 1)
        for mask in range(2 ** len(mixer.frequencies))
    ]
    panel = Mixer(
        title=f"Logits for one pair (a, b), and the sum of α cos(w(a {SYMBOLS[analysis.operation]} b − c))",
        summary=f"Amplitudes α: {_amplitudes(analysis)}.",
        p=p,
        sign=SIGNS[analysis.operation],
        frequencies=list(mixer.frequencies),
        coefficients=numbers(mixer.coefficients.values),
        bs=bs,
        logits=logits,
        rows=[_pair(mixer.scores[subset].all) for subset in subsets],
        own=_pair(analysis.scores.all),
        chance=(plain(1 / p), plain(analysis.chance_loss)),
    )
    return Figure(
        "logits-mixer",
        "Frequency mixer",
        "In a network that adds angles, with one frequency on, many answers share the highest wave; each further one "
        "leaves fewer, until only the right answer is high everywhere. Accuracy and loss are those over all pairs "
        f"when just these frequencies are kept.{left}",
        "The drawn cosines are the fit, of one amplitude for all pairs; accuracy and loss come from the network's "
        "own parts at these frequencies and the mean over all pairs, which may differ a little. The network's logits "
        f"are kept to ± {number(logits.precision)}.{thinned}",
        analysis_snippet(name, "alpha, scores = analysis.mixer.coefficients, analysis.mixer.scores  # by subset"),
        (panel,),
    )


def kept_operands(p: int) -> list[int]:
    """Return the values of b for which logits are kept: all, or as many, evenly spaced, as 2 MB hold.

    >>> len(kept_operands(113)), len(kept_operands(300))
    (113, 22)
    """
    count = min(p, max(1, MOST_BYTES // (p * p)))
    return [place * p // count for place in range(count)]


def _centred(analysis: Analysis) -> Tensor:
    cube = analysis.sums.cube()
    return cube - cube.mean(-1, keepdim=True)


def _pair(score: Score) -> tuple[float | None, float | None]:
    return plain(score.accuracy), plain(score.loss)


def _amplitudes(analysis: Analysis) -> str:
    mixer = analysis.mixer
    pairs = zip(mixer.frequencies, mixer.coefficients.values.tolist(), strict=True)
    return ", ".join(f"{number(alpha)} for k = {k}" for k, alpha in pairs)

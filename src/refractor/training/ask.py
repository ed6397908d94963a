"""Which way a network is asked fixed questions."""

from jaxtyping import Int
from torch import Tensor

from refractor.models.transformer import HookedTransformer
from refractor.training.network import Network
from refractor.training.pair_questions import PairQuestions
from refractor.training.questions import Questions, TransformerQuestions


def questions_for(model: Network, tokens: Int[Tensor, "rows pos"], labels: Int[Tensor, " rows"]) -> Questions:
    """Return questions as this network is asked them.

    Args:
        model: the network; it is asked as its weights are at that moment.
        tokens: the questions.
        labels: the answers.

    """
    if isinstance(model, HookedTransformer):
        return TransformerQuestions(model, tokens, labels)
    return PairQuestions(model, tokens, labels)

"""Matrices that are never formed: `FactoredMatrix`, and what can be asked of one or of two of them."""

from refractor.linalg.angles import principal_angles
from refractor.linalg.composition import pairwise_norms
from refractor.linalg.eigen import Eig
from refractor.linalg.explain import Explanation
from refractor.linalg.factor import Grouped
from refractor.linalg.factored_matrix import FactoredMatrix
from refractor.linalg.identity import IdentityPlus
from refractor.linalg.low_rank import Truncation
from refractor.linalg.search import TopK
from refractor.linalg.svd import SVD, FactoredSVD

__all__ = [
    "SVD",
    "Eig",
    "Explanation",
    "FactoredMatrix",
    "FactoredSVD",
    "Grouped",
    "IdentityPlus",
    "TopK",
    "Truncation",
    "pairwise_norms",
    "principal_angles",
]

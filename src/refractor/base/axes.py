"""The words for axes: one glossary, used by annotations, hook points, labels and error texts.

An array is described by the names of its axes in order, e.g. `("batch", "pos", "head", "d_head")` for
the queries of a layer. Nothing in Refractor guesses an axis from a shape or from the name of a tensor.

>>> from refractor.base.axes import GLOSSARY, describe
>>> GLOSSARY["d_head"]
'width of one attention head'
>>> describe(("batch", "pos", "d_model"), (4, 3, 128))
'[batch=4, pos=3, d_model=128]'
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

GLOSSARY: Mapping[str, str] = MappingProxyType(
    {
        "batch": "independent inputs",
        "pos": "position in the token sequence",
        "query_pos": "position that attends",
        "key_pos": "position that is attended to",
        "past_pos": "position read in an earlier pass",
        "pair": "two dimensions of a head that turn together",
        "expert": "one MLP of several that a router chooses among",
        "layer": "transformer block",
        "head": "attention head",
        "kv_head": "key/value head (fewer than heads when they are shared by a group)",
        "d_model": "width of the residual stream",
        "d_head": "width of one attention head",
        "d_mlp": "number of neurons of one MLP",
        "d_vocab": "number of input tokens",
        "d_vocab_out": "number of output tokens",
        "n_ctx": "longest token sequence",
        "one": "an axis of length 1, kept for broadcasting",
        "ldim": "rows of a factored matrix",
        "rdim": "columns of a factored matrix",
        "mdim": "inner width of a factored matrix",
        "rank": "number of singular values",
        "leading": "leading axes of a stack of matrices",
        "at": "places that are asked for",
        "run": "one training run of several",
        "step": "optimiser step, 0 before the first update",
        "p": "modulus of modular arithmetic",
        "a": "first operand",
        "b": "second operand",
        "c": "answer, one output class",
        "freq": "frequency k of cos(2 pi k x / p), from 1 to p // 2",
        "component": "row of a Fourier basis (constant, cosines, sines)",
        "neuron": "one unit of a hidden layer",
        "s": "class of questions with one right answer",
        "sum": "right answer s = (a + b) mod p (or a - b), from 0 to p - 1",
        "distance": "output minus right answer, (c - s) mod p",
        "token": "one input token",
        "pairs": "questions (a, b) in a-major order, row a p + b",
        "sets": "frequency sets that are compared",
        "width": "columns of a matrix whose rows stand for the numbers 0 … p - 1",
        "rows": "questions, or rows of a table",
        "row": "the same, one by one",
        "cols": "columns of a table or matrix",
        "train": "questions trained on",
        "test": "questions held out",
        "left": "what is left of rows",
        "both": "two embeddings side by side",
        "n": "number of elements of a group",
        "degree": "points that permutations move",
        "dim": "dimension of a representation",
        "irrep": "irreducible representation",
        "rho": "vector of a set that a representation permutes",
        "half": "basis vectors of one part of a representation that is split",
        "cls": "conjugacy class",
        "coset": "coset of a subgroup",
        "subgroup": "subgroup of a group",
        "generator": "element of a set that generates a group",
        "form": "axes of one element: points of a permutation, rows and columns of a matrix",
        "factor": "one group of a product",
        "member": "element of a subgroup",
        "x": "first element of a product x y",
        "y": "second element of a product x y",
        "z": "answer, one element of a group",
        "q": "p - 1, the number of invertible residues modulo a prime p",
    }
)


def describe(axes: Sequence[str], shape: Sequence[int]) -> str:
    """Write axes and sizes side by side for messages: `[batch=4, pos=3]`.

    `axes` may be empty (unknown), in which case only the sizes are written.
    """
    if len(axes) != len(shape):
        return "[" + ", ".join(str(size) for size in shape) + "]"
    return "[" + ", ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True)) + "]"

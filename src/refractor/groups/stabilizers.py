"""How large a permutation group is, from its generators and without listing its elements (Schreier, Sims 1970).

A group is cut down by fixing one point after another; its order is the product of the numbers of places that each point
can be taken to by what fixes the earlier ones. Random elements are divided down this chain, and a remainder is a new
generator of the level where it is stuck (Leon 1980). Every orbit found is part of the true one, so the product never is
above the order; after 20 elements in a row without remainder it is the order, but for a chance of about 2^-20.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int32]

QUIET = 20  # divisions without remainder in a row that end the search: each is missed with probability at most 1/2
ENOUGH = 10**18  # a group that large is refused anyway, and the search ends
POOL = 10  # elements that are multiplied by one another to draw at random (product replacement, Celler et al. 1995)
WARM_UP = 50  # products before the first element is used


def order_at_least(generators: Array) -> int:
    """Return a number that is at most the order of a permutation group, and almost always the order itself.

    Groups of more than 10^18 elements may be given any number above that.

    Args:
        generators: array forms, all of one degree.

    >>> order_at_least(np.array([[1, 2, 3, 4, 0], [1, 0, 2, 3, 4]], dtype=np.int32))
    120

    """
    levels: list[_Level] = []
    degree = generators.shape[1]
    draw = np.random.default_rng(0)  # the result must not depend on what was drawn before
    pool = [generators[i % len(generators)] for i in range(max(POOL, len(generators)))]
    word, quiet, step = np.arange(degree, dtype=np.int32), 0, 0
    order = 1
    while quiet < QUIET and order <= ENOUGH:
        first = int(draw.integers(len(pool)))
        second = (first + 1 + int(draw.integers(len(pool) - 1))) % len(pool)  # another one
        pool[first] = pool[second][pool[first]]
        word = pool[first][word]
        step += 1
        if step > WARM_UP:
            quiet = 0 if _divide(levels, word) else quiet + 1
            order = math.prod(len(level.inverses) for level in levels)
    return order


class _Level:
    """A point, generators that fix the points of earlier levels, and the orbit of the point."""

    def __init__(self, point: int, degree: int) -> None:
        self.point = point
        self.generators: list[tuple[Array, Array]] = []
        self.inverses: dict[int, Array] = {point: np.arange(degree, dtype=np.int32)}
        """For each point of the orbit, an element that takes it back."""

    def add(self, generator: Array) -> None:
        """Add a generator and enlarge the orbit."""
        back = np.argsort(generator).astype(np.int32)
        waiting = [new for point in list(self.inverses) if (new := self._reach(point, generator, back)) >= 0]
        self.generators.append((generator, back))
        while waiting:
            point = waiting.pop()
            reached = [self._reach(point, *image) for image in self.generators]
            waiting.extend(new for new in reached if new >= 0)

    def _reach(self, point: int, generator: Array, back: Array) -> int:
        """Return where a generator takes a point of the orbit if that is new, else -1."""
        there = int(generator[point])
        if there in self.inverses:
            return -1
        self.inverses[there] = self.inverses[point][back]
        return there


def _divide(levels: list[_Level], word: Array) -> bool:
    """Divide an element down the chain. Return whether it left a remainder, which is then added where it was stuck.

    It is added to the levels above too: so each level's group contains the next one's, and as long as the product of
    the orbits is not the order it is at most half of it.
    """
    depth = 0
    for level in levels:
        inverse = level.inverses.get(int(word[level.point]))
        if inverse is None:
            break
        word = inverse[word]
        depth += 1
    moved = np.flatnonzero(word != np.arange(len(word)))
    if len(moved) == 0:
        return False
    if depth == len(levels):
        levels.append(_Level(int(moved[0]), len(word)))
    for level in levels[: depth + 1]:
        level.add(word)
    return True

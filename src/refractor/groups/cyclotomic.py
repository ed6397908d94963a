"""Sums of roots of unity, exactly: what the values of characters are.

Σ_k c_k ζ^k with ζ = exp(2πi / m) and integers c_k. Two such sums are equal if and only if their polynomials agree
modulo the cyclotomic polynomial Φ_m; the conjugates are Σ_k c_k ζ^(ak) for a without a common factor with m. A sum that
equals all its conjugates is an integer; one with two different conjugates is (t ± s √f) / 2.
"""

import cmath
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

Polynomial = tuple[int, ...]
"""Coefficients, lowest power first."""


@dataclass(frozen=True)
class Cyclotomic:
    """The number Σ_k counts[k] ζ^k with ζ = exp(2πi / order).

    Args:
        order: the order m of ζ.
        counts: integers, m of them.

    >>> str(Cyclotomic(5, (1, 1, 0, 0, 1))), str(Cyclotomic(7, (0, 1, 0, 0, 0, 0, 1))), str(Cyclotomic(4, (0, 2, 0, 0)))
    ('(1+√5)/2', 'ζ_7+ζ_7^6', '2i')

    """

    order: int
    counts: Polynomial

    def __complex__(self) -> complex:
        """Return the value in floating point."""
        step = 2 * math.pi / self.order
        return sum((count * cmath.exp(1j * step * k) for k, count in enumerate(self.counts) if count), 0j)

    @cached_property
    def reduced(self) -> Polynomial:
        """The coefficients modulo the cyclotomic polynomial, which are those of no other number."""
        return reduce_modulo(self.counts, self.order)

    @cached_property
    def conjugates(self) -> frozenset[Polynomial]:
        """The different conjugates, reduced."""
        units = [a for a in range(1, self.order + 1) if math.gcd(a, self.order) == 1]
        return frozenset(reduce_modulo(_raised(self.counts, a), self.order) for a in units)

    @property
    def integer(self) -> int | None:
        """The integer that it is, if it is one."""
        return None if any(self.reduced[1:]) else self.reduced[0]

    def __str__(self) -> str:
        """Return an integer, a quadratic number or the sum of roots of unity with the fewest terms."""
        if self.integer is not None:
            return str(self.integer)
        used = [k for k, count in enumerate(self.counts) if count]
        if len(used) == 1 and self.order // math.gcd(used[0], self.order) != 4:
            return _write_sum(self.counts, self.order)
        if len(self.conjugates) == 2:
            return _write_quadratic(self)
        fewest = min(self.counts, self.reduced, key=lambda terms: sum(map(bool, terms)))
        return _write_sum(fewest, self.order)


def reduce_modulo(polynomial: Polynomial, order: int) -> Polynomial:
    """Return the remainder of a polynomial on division by the cyclotomic polynomial of an order.

    >>> reduce_modulo((0, 0, 1), 3)
    (-1, -1)

    """
    divisor = cyclotomic_polynomial(order)
    degree = len(divisor) - 1
    left = list(polynomial)
    for top in range(len(left) - 1, degree - 1, -1):
        factor = left[top]
        if factor:
            for k in range(degree + 1):
                left[top - degree + k] -= factor * divisor[k]  # the leading coefficient is 1
    return tuple(left[:degree])


@lru_cache(maxsize=256)
def cyclotomic_polynomial(order: int) -> Polynomial:
    """Return Φ_m: x^m - 1 divided by Φ_d for every divisor d < m.

    >>> cyclotomic_polynomial(6)
    (1, -1, 1)

    """
    left = [-1] + [0] * (order - 1) + [1]
    for divisor in range(1, order):
        if order % divisor == 0:
            left = _divided(left, cyclotomic_polynomial(divisor))
    return tuple(left)


def _divided(polynomial: list[int], divisor: Polynomial) -> list[int]:
    """Return the quotient of a division without remainder, the divisor's leading coefficient being 1."""
    left, degree = list(polynomial), len(divisor) - 1
    quotient = [0] * (len(left) - degree)
    for top in range(len(quotient) - 1, -1, -1):
        quotient[top] = left[top + degree]
        for k in range(degree + 1):
            left[top + k] -= quotient[top] * divisor[k]
    return quotient


def _raised(counts: Polynomial, a: int) -> Polynomial:
    """Return Σ_k c_k ζ^(ak)."""
    found = [0] * len(counts)
    for k, count in enumerate(counts):
        found[a * k % len(counts)] += count
    return tuple(found)


def _write_sum(terms: Polynomial, order: int) -> str:
    text = ""
    for k, count in enumerate(terms):
        if not count:
            continue
        common = math.gcd(k, order) if len([c for c in terms if c]) == 1 else 1
        power = f"ζ_{order // common}" + (f"^{k // common}" if k // common > 1 else "")
        size = "" if abs(count) == 1 and k else str(abs(count))
        text += ("-" if count < 0 else "+" if text else "") + size + (power if k else "")
    return text


def _write_quadratic(number: Cyclotomic) -> str:
    """Return (t ± s √f) / 2 from trace t = z + z′ and norm q = z z′, integers since exactly two conjugates exist."""
    value = complex(number)
    (other,) = number.conjugates - {number.reduced}
    partner = complex(Cyclotomic(number.order, (*other, *[0] * (number.order - len(other)))))
    trace, norm = round((value + partner).real), round((value * partner).real)
    discriminant = trace**2 - 4 * norm
    root, rest = _square_part(abs(discriminant))
    positive = (value - partner).real > 0 if discriminant > 0 else (value - partner).imag > 0
    halved = trace % 2 or root % 2
    if not halved:
        trace, root = trace // 2, root // 2
    unit = ("i" if discriminant < 0 else "") + (f"√{rest}" if rest > 1 else "")
    text = ("+" if positive else "-") + (str(root) if root > 1 else "") + unit
    text = f"{trace}{text}" if trace else text.removeprefix("+")
    return f"({text})/2" if halved else text


def _square_part(number: int) -> tuple[int, int]:
    """Return s, f with number = s² f and f without square factors."""
    root = 1
    for factor in range(2, math.isqrt(number) + 1):
        while number % (factor * factor) == 0:
            number //= factor * factor
            root *= factor
    return root, number

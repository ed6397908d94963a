"""Facts about integers that the sizes and generators of groups need."""

import math


def prime_factors(n: int) -> tuple[int, ...]:
    """Return the primes that divide n ≥ 1, each once, in order.

    >>> prime_factors(360)
    (2, 3, 5)
    """
    found, p = [], 2
    while p * p <= n:
        if n % p == 0:
            found.append(p)
            while n % p == 0:
                n //= p
        p += 1
    return tuple(found + [n] * (n > 1))


def is_prime(n: int) -> bool:
    """Return whether n ≥ 1 is a prime."""
    return prime_factors(n) == (n,)


def unit_generators(modulus: int) -> tuple[int, ...]:
    """Return residues that generate the invertible residues: the least that is not yet generated, again and again.

    >>> unit_generators(7), unit_generators(8), unit_generators(2)
    ((3,), (3, 5), ())
    """
    inside, found = {1 % modulus}, []
    for unit in range(2, modulus):
        if math.gcd(unit, modulus) == 1 and unit not in inside:
            found.append(unit)
            powers = [1]
            while (power := powers[-1] * unit % modulus) != 1:
                powers.append(power)
            inside = {element * power % modulus for element in inside for power in powers}
    least = _least_primitive_root(modulus, len(inside))
    return (least,) if least else tuple(found)


def _least_primitive_root(modulus: int, units: int) -> int:
    """Return the least residue whose powers are all invertible residues, 0 if there is none or nothing to generate."""
    if units < 2:
        return 0
    exponents = [units // p for p in prime_factors(units)]
    for unit in range(2, modulus):
        if math.gcd(unit, modulus) == 1 and all(pow(unit, exponent, modulus) != 1 for exponent in exponents):
            return unit
    return 0


def residue_of_order(order: int, p: int) -> int:
    """Return the least residue modulo the prime p whose powers are `order` many; `order` divides p - 1.

    >>> residue_of_order(3, 7)
    2
    """
    exponents = [order // prime for prime in prime_factors(order)]
    return next(
        r for r in range(1, p) if pow(r, order, p) == 1 and all(pow(r, exponent, p) != 1 for exponent in exponents)
    )


def determinant(matrix: list[list[int]]) -> int:
    """Return the determinant of integers, exactly (fraction-free elimination, Bareiss 1968).

    >>> determinant([[0, 1], [1, 1]])
    -1
    """
    rows, sign, previous = [list(row) for row in matrix], 1, 1
    size = len(rows)
    for k in range(size - 1):
        pivot = next((i for i in range(k, size) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, size):
            for j in range(k + 1, size):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // previous
        previous = rows[k][k]
    return sign * rows[-1][-1]


def general_linear_order(dim: int, modulus: int) -> int:
    """Return the number of invertible d x d matrices modulo n: n^(d²) Π_p Π_i (1 - p^-i), p | n, i = 1 … d.

    >>> general_linear_order(2, 3), general_linear_order(2, 4)
    (48, 96)
    """
    order = modulus ** (dim * dim)
    for p in prime_factors(modulus):
        for i in range(1, dim + 1):
            order = order // p**i * (p**i - 1)
    return order


def units_count(modulus: int) -> int:
    """Return the number of invertible residues (Euler's φ).

    >>> units_count(12)
    4
    """
    return general_linear_order(1, modulus)

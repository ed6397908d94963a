"""Semidirect products, Frobenius groups among them."""

import torch
from jaxtyping import Int
from torch import Tensor

from refractor.base.checks import check_int, check_shape
from refractor.base.errors import ArgumentError
from refractor.groups.elements import Tuples
from refractor.groups.families import cyclic
from refractor.groups.group import Group
from refractor.groups.integers import is_prime, prime_factors, residue_of_order
from refractor.groups.size import check_order


def semidirect_product(normal: Group, acting: Group, action: Int[Tensor, "y x"], name: str | None = None) -> Group:
    """Return H ⋊ K, the pairs (h, k) with (h, k)(h′, k′) = (h · φ_k(h′), k · k′).

    The pair (h, k) is element h + |H| k, so H comes first; `dihedral(n)` has this order with H = C_n, K = C_2.

    Args:
        normal: H.
        acting: K.
        action: `action[k, h]` is φ_k(h), with φ_k an automorphism of H and φ_kk′ = φ_k ∘ φ_k′.
        name: how the product is called, by default "H ⋊ K".

    Raises:
        ArgumentError: some φ_k is no automorphism, or φ no homomorphism; the message says where.
        BudgetError: the table would be too large.

    >>> turn = torch.tensor([[0, 1, 2], [0, 2, 1]])
    >>> semidirect_product(cyclic(3), cyclic(2), turn).element_orders.tolist()
    [1, 3, 3, 2, 2, 2]

    """
    called = name if name is not None else f"{normal.name} ⋊ {acting.name}"
    check_shape("action", action, ("acting", "normal"), (acting.order, normal.order))
    n = check_order(called, normal.order * acting.order)
    _check_action(normal, acting, action)
    pair = torch.arange(n)
    h, k = pair % normal.order, pair // normal.order
    table = normal.table[h[:, None], action[k[:, None], h]] + normal.order * acting.table[k[:, None], k]
    generators = (
        *(generator + normal.order * acting.identity for generator in normal.generators),
        *(normal.identity + normal.order * generator for generator in acting.generators),
    )
    elements = Tuples((normal.elements, acting.elements), torch.stack([h, k], 1))
    return Group(called, table, elements, generators)


def frobenius(p: int, q: int) -> Group:
    """Return F_pq = C_p ⋊ C_q: (a, b)(a′, b′) = (a + r^b a′, b + b′), r the least residue of order q modulo p.

    Element a + p b stands for (a, b). F_21 is frobenius(7, 3), AGL(1, p) is frobenius(p, p - 1).

    Args:
        p: a prime.
        q: a divisor of p - 1, 2 or more.

    Raises:
        ArgumentError: p is no prime, or q does not divide p - 1.
        BudgetError: the table would be too large.

    >>> frobenius(7, 3)
    Group('F21', order=21)

    """
    check_order(f"F{p * q}", check_int("p", p, least=3) * check_int("q", q, least=2))
    if not is_prime(p) or (p - 1) % q:
        raise ArgumentError(f"frobenius(p, q) needs a prime p and a divisor q of p - 1; p = {p}, q = {q} came.")
    r = residue_of_order(q, p)
    powers = torch.tensor([pow(r, b, p) for b in range(q)])
    return semidirect_product(cyclic(p), cyclic(q), powers[:, None] * torch.arange(p) % p, name=f"F{p * q}")


def frobenius_of_order(order: int) -> Group:
    """Return F_n by its order n = p q: p is the largest prime factor.

    Raises:
        ArgumentError: the order is not p q with a prime p and a divisor q of p - 1.
        BudgetError: the table would be too large.

    >>> frobenius_of_order(20)
    Group('F20', order=20)

    """
    check_order(f"F{order}", check_int("order", order, least=6))
    p = prime_factors(order)[-1]
    if order == p or (p - 1) % (order // p):
        raise ArgumentError(
            f"a Frobenius group F_n has n = p q elements, p a prime and q > 1 a divisor of p - 1, such as 21 or 20; "
            f"{order} came."
        )
    return frobenius(p, order // p)


def _check_action(normal: Group, acting: Group, action: Int[Tensor, "y x"]) -> None:
    """Raise unless the rows are automorphisms, and products of acting elements act one after the other."""
    every = torch.arange(normal.order)
    wrong = (action.sort(1).values != every).any(1).nonzero()
    if len(wrong):
        k = int(wrong[0])
        raise ArgumentError(f"action[k] must be a permutation of the elements of {normal.name}; for k = {k} it is not.")
    for g in normal.generators:  # φ(h g) = φ(h) φ(g) for all h and all generators g is enough: others are words in them
        broken = action[:, normal.table[:, g]] != normal.table[action, action[:, g, None]]
        if bool(broken.any()):
            k, h = broken.nonzero()[0].tolist()
            raise ArgumentError(
                f"action[k] must be an automorphism of {normal.name}; for k = {k} it takes the product "
                f"of h = {h} and h′ = {g} to something else than the product of their images."
            )
    for g in (*acting.generators, acting.identity):
        broken = action[acting.table[:, g]] != action[:, action[g]]
        if bool(broken.any()):
            k, h = broken.nonzero()[0].tolist()
            raise ArgumentError(
                f"action must be a homomorphism: action[k · k′] is action[k] after action[k′]; for k = {k}, k′ = {g} "
                f"it is not, at h = {h}."
            )

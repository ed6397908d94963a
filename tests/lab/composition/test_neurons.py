"""Which irrep and which cosets a neuron computes with: by definition, and where it was put in."""

import composition_by_hand as by_hand
import pytest
import torch
from torch import Tensor

from refractor.base.errors import ArgumentError, ShapeError
from refractor.groups import Subgroup, entry_basis, group, left_cosets, real_irreps, right_cosets, subgroups
from refractor.lab.composition import coset_concentration, neuron_cosets, neuron_irreps, problem
from refractor.lab.composition import cosets as cosets_module
from refractor.lab.composition.neurons import rotation_control

LAW = 1e-10


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def left_within(values: list[float], cosets: list[int]) -> float:
    """Σ_c (|c| / n) var(f | c) / var(f), with loops."""

    def variance(numbers: list[float]) -> float:
        mean = sum(numbers) / len(numbers)
        return sum((number - mean) ** 2 for number in numbers) / len(numbers)

    parts = [[v for v, c in zip(values, cosets, strict=True) if c == one] for one in sorted(set(cosets))]
    return sum(len(part) / len(values) * variance(part) for part in parts) / variance(values)


@pytest.mark.parametrize("name", ["S3", "Q8", "A4"])
def test_concentration_is_its_definition(name: str) -> None:
    g = group(name)
    functions = drawn(g.order, 5)
    for one in subgroups(g):
        for cosets in (left_cosets(one), right_cosets(one)):
            expected = [left_within(column.tolist(), cosets.tolist()) for column in functions.T]
            torch.testing.assert_close(
                coset_concentration(functions, cosets), torch.tensor(expected, dtype=torch.float64), atol=LAW, rtol=0
            )


@pytest.mark.usefixtures("untyped")
def test_concentration_at_its_ends() -> None:
    g = group("S4")
    one = next(sub for sub in subgroups(g) if sub.order == 6)
    cosets = right_cosets(one)
    constant_on_cosets = drawn(4, 1)[cosets]
    everything = torch.cat([constant_on_cosets, torch.ones(24, 1, dtype=torch.float64)], 1)
    assert coset_concentration(everything, cosets).tolist() == pytest.approx([0, 1], abs=LAW)
    with pytest.raises(ShapeError, match="functions are of 24 elements, cosets of 23"):
        coset_concentration(everything, cosets[1:])


def test_the_subgroups_that_are_compared() -> None:
    """All but the trivial one and the group itself, largest first, conjugate ones together."""
    asked = problem(group("S4"))
    found = [one for each in asked.subgroups for one in each]
    every = {one.members for one in subgroups(asked.group) if 1 < one.order < 24}
    assert ({one.members for one in found}, len(found)) == (every, 28)
    assert [each[0].order for each in asked.subgroups] == sorted(
        (each[0].order for each in asked.subgroups), reverse=True
    )
    assert all(conjugate(each[0], one) for each in asked.subgroups for one in each)
    assert len(asked.subgroups) == 9


def conjugate(one: Subgroup, other: Subgroup) -> bool:
    g = one.group
    images = ({g.product(g.product(int(g.inverses[k]), h), k) for h in one.members} for k in range(g.order))
    return any(image == set(other.members) for image in images)


@pytest.mark.parametrize("name", ["S4", "Q8", "D6"])
@pytest.mark.parametrize("batch", [2**23, 1])
def test_the_largest_subgroup_is_found(name: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons put together from cosets of known subgroups, and noise; what is found is held against every subgroup."""
    monkeypatch.setattr(cosets_module, "BATCH_BYTES", batch)
    classes = problem(group(name)).subgroups
    candidates = [one for each in classes for one in each]
    n = candidates[0].group.order
    first, second = [], []
    for seed, one in enumerate(candidates):
        other = candidates[(3 * seed + 1) % len(candidates)]
        first.append(drawn(n, 1, seed=seed)[right_cosets(one)] + 0.02 * drawn(n, 1, seed=seed + 50))
        second.append(drawn(n, 1, seed=seed + 100)[left_cosets(other if seed % 2 else one)])
    first += [torch.zeros(n, 1, dtype=torch.float64), drawn(n, 1, seed=200), drawn(n, 1)[right_cosets(candidates[-1])]]
    second += [drawn(n, 1), drawn(n, 1)[left_cosets(candidates[-1])], drawn(n, 1, seed=201)]  # one side knows nothing
    x, y = torch.cat(first, 1), torch.cat(second, 1)
    found = neuron_cosets(x, y, classes)
    assert list(found.subgroups) == candidates
    for neuron in range(x.shape[1]):
        for functions, places, cosets in ((x, found.first, right_cosets), (y, found.second, left_cosets)):
            f = functions[:, neuron]
            left = [left_within(f.tolist(), cosets(one).tolist()) if float(f.std()) > 0 else 1.0 for one in candidates]
            below = [one.order for one, value in zip(candidates, left, strict=True) if value < 0.01]
            place = int(places[neuron])
            assert (place >= 0) == bool(below)
            if place >= 0:
                assert candidates[place].order == max(below)
                assert left[place] < 0.01
                if functions is x:
                    assert float(found.concentration[neuron]) == pytest.approx(left[place], abs=LAW)
        h, k = int(found.first[neuron]), int(found.second[neuron])
        assert found.conjugate[neuron] == (min(h, k) >= 0 and conjugate(candidates[h], candidates[k]))
    assert sum(found.orders.values()) == int((found.first >= 0).sum())
    assert list(found.orders) == sorted(found.orders, reverse=True)
    assert any(found.conjugate)
    assert not all(found.conjugate)


def test_the_cut_is_what_may_be_left() -> None:
    classes = problem(group("S4")).subgroups
    one = classes[3][0]
    exact = drawn(24 // one.order, 1)[right_cosets(one)]
    noisy = exact + 0.3 * drawn(24, 1, seed=9)
    assert int(neuron_cosets(noisy, noisy, classes).first[0]) == -1
    assert int(neuron_cosets(noisy, noisy, classes, cut=0.5).first[0]) >= 0
    with pytest.raises(ArgumentError, match="cut must be a finite number of at least 0; -1.0 came"):
        neuron_cosets(exact, exact, classes, -1.0)


@pytest.mark.parametrize("name", ["S4", "Q8", "C6"])
def test_the_irreps_of_neurons_are_shares(name: str) -> None:
    irreps = real_irreps(group(name))
    n = irreps.group.order
    functions = drawn(n, 6)
    functions[:, 2] = 5.0  # knows nothing of the element
    functions[:, 4] = irreps.members[-1].matrices[:, 0, 0] + 3
    found = neuron_irreps(functions, entry_basis(irreps))
    for neuron in (0, 1, 3, 4, 5):
        centred = functions[:, neuron : neuron + 1] - functions[:, neuron].mean()
        for place, irrep in enumerate(irreps):
            expected = by_hand.share(by_hand.projector(by_hand.entries(irrep)), centred) if place else 0.0
            assert float(found.shares.values[neuron, place]) == pytest.approx(expected, abs=LAW)
    assert torch.equal(found.best.values, found.shares.values.argmax(1))
    assert float(found.purity.values[2]) == 0
    assert (int(found.best.values[4]), float(found.purity.values[4])) == (len(irreps) - 1, pytest.approx(1))
    assert found.dead == 1
    assert found.counts[irreps.names[-1]] >= 1
    assert found.pure == sum(int(value > 0.95) for value in found.purity.values)
    assert found.shares.axes == ("neuron", "irrep")


def test_purity_is_held_against_rotations() -> None:
    """Neurons of one irrep each stay pure under no random rotation; random neurons are as pure after as before."""
    irreps = real_irreps(group("S4"))
    basis = entry_basis(irreps)
    pure = torch.cat([irrep.matrices[:, 0] for irrep in irreps], 1)[:, 1:]
    known = rotation_control(pure, basis, 19, torch.Generator().manual_seed(0))
    assert known.purity == pytest.approx(1)
    assert max(known.rotated) < 0.8
    noise = rotation_control(drawn(24, 60), basis, 19, torch.Generator().manual_seed(0))
    assert min(noise.rotated) - 0.05 < noise.purity < max(noise.rotated) + 0.05

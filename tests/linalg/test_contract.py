"""Every question, asked of every chain of the registry, answers as the product formed in float64 does."""

import chain_laws
import chains
import pytest
import torch


@pytest.mark.parametrize("law", chain_laws.ANY)
@pytest.mark.parametrize("case", chains.thinned(chains.CASES))
def test_every_chain(case: str, law: str) -> None:
    parts = chains.CASES[case]()
    chain_laws.ANY[law](chains.build(case), chains.multiplied(parts))


@pytest.mark.parametrize("law", chain_laws.SQUARE_ONLY)
@pytest.mark.parametrize("case", chains.thinned(chains.SQUARE))
def test_square_chains(case: str, law: str) -> None:
    parts = chains.SQUARE[case]()
    chain_laws.SQUARE_ONLY[law](chains.build(case), chains.multiplied(parts))


@pytest.mark.parametrize("law", {**chain_laws.ANY, **chain_laws.SQUARE_ONLY})
def test_every_law_fails_for_another_matrix(law: str) -> None:
    """The contract itself: against another product, no law may hold."""
    right = chains.multiplied(chains.SQUARE["three factors"]())
    wrong = torch.eye(6, dtype=torch.float64) * torch.linspace(1, 20, 6) + 0.1 * chains.draw(6, 6, seed=5)
    laws = {**chain_laws.ANY, **chain_laws.SQUARE_ONLY}
    matrix = chains.build("three factors")
    laws[law](matrix, right)
    with pytest.raises(AssertionError):
        laws[law](matrix, wrong)


def test_the_registry_is_what_it_says() -> None:
    assert torch.linalg.matrix_rank(chains.multiplied(chains.SQUARE["rank deficient factors"]())) == 2
    assert chains.build("equal groups").shape == (6, 6, 6)
    assert {len(chains.build(name).factors) for name in chains.CASES} >= {2, 3, 4, 5}

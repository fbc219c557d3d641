"""The tableaus: the order conditions of Butcher's trees, exactly, for the order that each is said to have."""

from fractions import Fraction

import pytest

from taunode.models.tableau import TABLEAUS, Tableau

ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "ralston": 2, "heun3": 3, "rk4": 4, "rk4_classical": 4}


def exact(value: float) -> Fraction:
    return Fraction(value).limit_denominator(100)


def conditions(tableau: Tableau) -> dict[int, list[tuple[Fraction, Fraction]]]:
    """For each order what must be equal: Σ b = 1; Σ bc = 1/2; Σ bc² = 1/3, Σ bac = 1/6; and the four of order 4."""
    b = [exact(value) for value in tableau.b]
    c = [exact(value) for value in tableau.c]
    a = [[exact(value) for value in row] + [Fraction(0)] * (len(b) - len(row)) for row in tableau.a]

    def times_a(x: list[Fraction]) -> list[Fraction]:
        return [sum((p * q for p, q in zip(row, x, strict=True)), Fraction(0)) for row in a]

    def dot(*factors: list[Fraction]) -> Fraction:
        total = Fraction(0)
        for values in zip(*factors, strict=True):
            product = Fraction(1)
            for value in values:
                product *= value
            total += product
        return total

    return {
        1: [(sum(b, Fraction(0)), Fraction(1))],
        2: [(dot(b, c), Fraction(1, 2))],
        3: [(dot(b, c, c), Fraction(1, 3)), (dot(b, times_a(c)), Fraction(1, 6))],
        4: [
            (dot(b, c, c, c), Fraction(1, 4)),
            (dot(b, c, times_a(c)), Fraction(1, 8)),
            (dot(b, times_a([x * x for x in c])), Fraction(1, 12)),
            (dot(b, times_a(times_a(c))), Fraction(1, 24)),
        ],
    }


@pytest.mark.parametrize("name", TABLEAUS)
def test_a_method_meets_the_conditions_of_its_order_and_not_of_the_next(name: str) -> None:
    found = conditions(TABLEAUS[name])
    for order, equations in found.items():
        if order <= ORDERS[name]:
            assert all(left == right for left, right in equations)
    if ORDERS[name] < 4:
        assert any(left != right for left, right in found[ORDERS[name] + 1])


@pytest.mark.parametrize("name", TABLEAUS)
def test_the_first_stage_is_at_the_beginning_and_none_beyond_the_end(name: str) -> None:
    assert TABLEAUS[name].c[0] == 0
    assert all(0 <= time <= 1 for time in TABLEAUS[name].c)


def test_ralstons_is_the_second_order_method_with_the_least_error() -> None:
    """The sum of the squared coefficients of h³ is least for c = 2/3 (Ralston, 1962)."""

    def bound(c: float) -> float:
        tableau = Tableau(((), (c,)), (1 - 1 / (2 * c), 1 / (2 * c)))
        return sum(abs(float(left - right)) for left, right in conditions(tableau)[3])

    assert bound(2 / 3) == min(bound(c) for c in (1 / 3, 1 / 2, 2 / 3, 3 / 4, 1))

"""Published numbers: all there with their sources, and their protocols are those of the shipped experiments."""

import pytest
from protocols import FILE, protocols

from multirun_analysis.papers.published import Role, protocol, published


def test_every_number_has_a_source_a_role_and_a_network():
    numbers = published()
    assert len(numbers) == 60
    assert len({(n.figure, n.value, *n.position.items()) for n in numbers}) == 60
    for number in numbers:
        assert number.source
        assert 0 < number.mean < 100
        assert number.value in ("final_test_error", "best_test_error")
        assert number.position["arch._target_"].startswith("taunode.models.")
    references = {number.figure for number in numbers if number.role is Role.REFERENCE}
    assert references == {"he-table-6", "imagenet"}


@pytest.mark.parametrize(
    ("figure", "value", "words", "mean", "sd", "n", "diverged"),
    [
        ("tau-cifar-depth", "final_test_error", "CifarResNet depth=110 norm=batch τ=L^-1/2", 5.84, None, 0, None),
        ("flow-1a", "final_test_error", "RkhsNode layers=5 channels=32 passes=0", 2.14, 0.16, 20, 0),
        ("flow-1b", "best_test_error", "ShlNode layers=5 channels=32 passes=3", 0.90, 0.07, 20, 19),
        ("flow-2", "final_test_error", "RkhsNode layers=20 channels=4 passes=0", 16.0, 5.1, 20, 0),
        ("flow-3", "final_test_error", "RkhsResNet layers=20", 12.47, 0.23, 6, 0),
        ("he-table-6", "final_test_error", "CifarResNet depth=110 norm=batch τ=1", 6.43, 0.16, 5, None),
    ],
)
def test_what_is_known_of_a_number(figure, value, words, mean, sd, n, diverged):
    (number,) = [x for x in published() if (x.figure, x.value, x.words) == (figure, value, words)]
    assert (number.mean, number.n, number.diverged) == (mean, n, diverged)
    assert number.sd == sd if sd is not None else number.sd != number.sd


def test_last_epochs_are_those_of_the_seeds_that_reached_them():
    samples = {x.value: x.sample.n for x in published() if x.diverged == 6}
    assert samples == {"final_test_error": 14, "best_test_error": 20}


def test_protocols_are_those_that_the_experiments_compose_to():
    assert FILE.read_text(encoding="utf-8") == protocols(), "run python tests/multirun_analysis/protocols.py"


def test_every_number_of_the_papers_is_of_a_cell_of_its_experiment():
    for number in published():
        if number.role is Role.PUBLISHED:
            expected = protocol(number)
            assert {key: expected[key] for key in number.position} == number.position
            assert "seed" not in expected
            assert not [key for key in expected if key.endswith("fingerprint")]

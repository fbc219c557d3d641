"""Verdicts: each of them for the reason that the module states."""

import math

import pytest
from synthetic import Outcome, configuration, protocol_of, write_runs

from multirun_analysis import load
from multirun_analysis.papers.published import published
from multirun_analysis.papers.verdicts import Verdict, verify


def number(figure, value="final_test_error", **position):
    """The published number at a position, keys without their group."""
    for candidate in published():
        keys = {key.rpartition(".")[2]: item for key, item in candidate.position.items()}
        if (candidate.figure, candidate.value) == (figure, value) and keys.items() >= position.items():
            return candidate
    raise LookupError(position)


RKHS = number("flow-1a", layers=5)  # 2.14 ± 0.16, n = 20
TAU = number("tau-cifar-depth", depth=110, exponent=0.5)  # 5.84, neither sd nor n
SHL = number("flow-1b", "best_test_error", layers=5, _target_="taunode.models.ode.ShlNode")  # 19 of 20 diverged


def lines_of(path, of, outcomes, change=lambda config: None):
    """The lines of one network, by what they compare, when its seeds ended like this."""
    configs = [protocol_of(of, seed) for seed in range(len(outcomes))]
    for config in configs:
        change(config)
    runs = load(write_runs(path / "s", configs, lambda config: outcomes[config["seed"]]).path).runs
    return {
        line.value: line for line in verify(runs) if (line.number.figure, line.number.words) == (of.figure, of.words)
    }


def errors(*values):
    return [Outcome(error=value) for value in values]


@pytest.mark.parametrize(
    ("of", "outcomes", "verdict"),
    [
        (RKHS, errors(2.0, 2.1, 2.2), Verdict.REPRODUCED),
        (RKHS, errors(1.99, 1.99, 1.99), Verdict.REPRODUCED),  # by 0.15 points
        (RKHS, errors(1.98, 1.98, 1.98), Verdict.DIFFERS),  # 2.5 · 0.16/√20 = 0.09
        (RKHS, errors(1.5, 1.9, 2.3), Verdict.REPRODUCED),  # 0.24, of 2.5 · 0.23
        (RKHS, errors(2.1, 2.2), Verdict.TOO_FEW),
        (RKHS, [*errors(2.1, 2.2), Outcome("failed")], Verdict.TOO_FEW),
        (RKHS, [Outcome("planned")], Verdict.TOO_FEW),
        (TAU, errors(5.69, 5.69, 5.69), Verdict.REPRODUCED),
        (TAU, errors(6.0, 6.0, 6.0), Verdict.DIFFERS),
        (TAU, errors(5.5, 6.0, 6.9), Verdict.REPRODUCED),  # ours alone: 0.29 of 2.5 · 0.41
        (TAU, [Outcome("diverged")] * 3, Verdict.DIFFERS),  # where no k/n is published
        (TAU, [Outcome("diverged")] * 2, Verdict.TOO_FEW),
    ],
)
def test_a_mean_is_judged_by_its_standard_error_and_by_points(tmp_path, of, outcomes, verdict):
    assert lines_of(tmp_path, of, outcomes)["final_test_error"].verdict is verdict


@pytest.mark.parametrize(
    ("of", "states", "verdict"),
    [
        (SHL, "ddd", Verdict.REPRODUCED),
        (SHL, "dd.", Verdict.REPRODUCED),
        (SHL, "d..", Verdict.DIFFERS),
        (SHL, "...", Verdict.DIFFERS),
        (SHL, "dd", Verdict.TOO_FEW),
        (RKHS, "d..", Verdict.REPRODUCED),
        (RKHS, "dd.", Verdict.DIFFERS),
        (RKHS, "ddd", Verdict.DIFFERS),
    ],
)
def test_divergence_is_compared_as_k_of_n(tmp_path, of, states, verdict):
    outcomes = [Outcome("diverged", whole=2) if state == "d" else Outcome(error=1.0) for state in states]
    line = lines_of(tmp_path, of, outcomes)["diverged"]
    assert line.verdict is verdict
    assert line.texts()[2:5] == ("diverged", f"{states.count('d')}/{len(states)}", f"{of.diverged}/20")
    assert math.isnan(line.difference)


def test_divergence_has_no_line_where_nobody_diverged(tmp_path):
    assert "diverged" not in lines_of(tmp_path, RKHS, errors(2.1, 2.1, 2.1))


def test_what_diverges_late_has_a_best_epoch_and_no_last_one(tmp_path):
    lines = lines_of(tmp_path, SHL, [Outcome("diverged", error=0.9, whole=3)] * 3)
    assert lines["best_test_error"].ours.sample.n == 3
    of = number("flow-1b", layers=10, _target_="taunode.models.ode.ShlNode")
    assert lines_of(tmp_path / "ten", of, [Outcome("diverged", whole=3)] * 3)["final_test_error"].ours.sample.n == 0


def shorter(config):
    config["schedule"]["epochs"] = 20
    config["schedule"]["milestones"] = [15]


def bf16(config):
    config["precision"] = "bf16"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (shorter, "schedule.epochs 20, not 40; schedule.milestones [15], not [35]"),
        (bf16, "precision bf16, not fp32"),
        (lambda config: config["arch"].update(interpolation="exact"), "arch.interpolation exact, not original"),
        (lambda config: config["schedule"].pop("warmup_epochs"), "schedule.warmup_epochs null, not 0"),
        (lambda config: config["dataset"].update(name="fashion_mnist"), "dataset.name fashion_mnist, not mnist"),
    ],
)
def test_another_protocol_is_not_comparable_and_the_keys_are_named(tmp_path, change, reason):
    line = lines_of(tmp_path, RKHS, errors(2.1, 2.1, 2.1), change)["final_test_error"]
    assert (line.verdict, line.reason, line.ours) == (Verdict.NOT_COMPARABLE, reason, None)


def test_of_many_keys_the_first_are_said_and_all_are_there(tmp_path):
    def digits(config):
        config["dataset"] |= {"_target_": "taunode.data.sets.Digits", "name": "digits", "image_size": 8, "mean": [0.3]}

    line = lines_of(tmp_path, RKHS, errors(2.1, 2.1, 2.1), digits)["final_test_error"]
    assert line.reason.startswith("dataset.name digits, not mnist; ")
    assert line.reason.endswith("; … (1 more)")
    assert line.differing["dataset._target_"] == ("taunode.data.sets.Digits", "taunode.data.sets.Mnist")


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["embedding"].update(weights="elsewhere.safetensors", fingerprint="00", seed=3),
        lambda config: config["dataset"].update(fingerprint="MNIST-1"),
        lambda config: config["schedule"].update(lr=0.5, momentum=0.0, weight_decay=0),
        lambda config: config["arch"].update(checkpoint_segments=4),
    ],
)
def test_what_the_protocol_leaves_open_is_comparable(tmp_path, change):
    assert lines_of(tmp_path, RKHS, errors(2.1, 2.1, 2.1), change)["final_test_error"].verdict is Verdict.REPRODUCED


def test_an_embedding_a_seed_is_one_cell(tmp_path):
    of = number("flow-2", channels=4)
    configs = [protocol_of(of, seed) for seed in range(3)]
    for config in configs:
        config["embedding"]["seed"] = config["seed"]
    runs = load(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=15.0)).path).runs
    (line,) = [line for line in verify(runs) if line.number is of]
    assert (line.ours.sample.n, line.verdict) == (3, Verdict.REPRODUCED)


def test_comparable_runs_are_judged_though_others_are_beside_them(tmp_path):
    configs = [protocol_of(RKHS, seed) for seed in range(3)] + [protocol_of(RKHS, seed) for seed in range(3)]
    for config in configs[3:]:
        shorter(config)
    runs = load(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=2.1)).path).runs
    line = next(line for line in verify(runs) if line.number is RKHS)
    assert (line.verdict, line.ours.runs) == (Verdict.REPRODUCED, 3)


def test_other_papers_are_shown_without_a_verdict(tmp_path):
    of = number("he-table-6", depth=110)
    line = lines_of(tmp_path, of, errors(9.0, 9.0, 9.0))["final_test_error"]
    assert (line.verdict, line.ours.sample.n) == (Verdict.REFERENCE, 3)
    assert line.texts()[3:6] == ("9.00 ± 0.00 (n=3)", "6.43 ± 0.16 (n=5)", "+2.57")


def test_the_rest_of_an_experiment_is_not_run_and_other_experiments_are_left_out(tmp_path):
    runs = load(write_runs(tmp_path / "s", [protocol_of(RKHS, 0)], lambda _: Outcome(error=2.1)).path).runs
    assert {line.number.experiment for line in verify(runs)} == {"mnist_fig1a"}
    assert [line.verdict for line in verify(runs)].count(Verdict.NOT_RUN) == 10
    everything = [line.number for line in verify(runs, everything=True) if line.value != "diverged"]
    assert sorted(map(published().index, everything)) == list(range(60))


def test_a_sweep_without_such_networks_has_no_lines(tmp_path):
    runs = load(write_runs(tmp_path / "s", [configuration(depth=26)]).path).runs
    assert verify(runs) == []

"""Verdicts: each of them for the reason that the module states."""

import math

import pytest
from synthetic import Outcome, configuration, protocol_of, write_runs

from multirun_analysis import load
from multirun_analysis.papers.line import Verdict
from multirun_analysis.papers.published import published
from multirun_analysis.papers.verdicts import verify
from taunode.runs.signature import signature


def number(figure, value="final_test_error", **position):
    """The published number at a position, keys without their group."""
    for candidate in published():
        keys = {key.rpartition(".")[2]: item for key, item in candidate.position.items()}
        if (candidate.figure, candidate.value) == (figure, value) and keys.items() >= position.items():
            return candidate
    raise LookupError(position)


RKHS = number("flow-1a", layers=5)  # 2.14 ± 0.16, n = 20
TAU = number("tau-cifar-depth", depth=110, exponent=0.5)  # 5.84, neither sd nor n
FOUR, FOUR_BEST = (
    number("flow-2", value, channels=4) for value in ("final_test_error", "best_test_error")
)  # 16.0 ± 5.1
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


def around(mean, sd, n):
    """Seeds with exactly this mean and sd."""
    steps = [2 * seed - (n - 1) for seed in range(n)]
    size = sd / math.sqrt(sum(step**2 for step in steps) / (n - 1)) if n > 1 else 0
    return errors(*(mean + size * step for step in steps))


@pytest.mark.parametrize(
    ("of", "outcomes", "verdict"),
    [
        (RKHS, around(2.10, 0.10, 8), Verdict.REPRODUCED),  # allowed: 2.36 · √(0.1²/8 + 0.16²/20) = 0.12
        (RKHS, around(2.40, 0.10, 8), Verdict.DIFFERS),
        (RKHS, around(2.10, 0.50, 8), Verdict.INCONCLUSIVE),  # allowed 0.43 is more than the margin 0.20
        (RKHS, around(2.10, 0.10, 2), Verdict.INCONCLUSIVE),  # 12.7 · 0.08
        (RKHS, around(4.00, 0.01, 2), Verdict.DIFFERS),  # beyond even that
        (RKHS, around(2.14, 0.00, 8), Verdict.REPRODUCED),
        (RKHS, errors(2.1), Verdict.TOO_FEW),
        (RKHS, [*errors(2.1), Outcome("failed"), Outcome("diverged")], Verdict.TOO_FEW),
        (RKHS, [Outcome("planned")], Verdict.TOO_FEW),
        (FOUR, around(17.0, 4.0, 20), Verdict.REPRODUCED),  # allowed 3.0 of 5.1
        (FOUR, around(25.0, 4.0, 20), Verdict.DIFFERS),
        (FOUR_BEST, around(17.0, 4.0, 20), Verdict.REPRODUCED),  # its sd is not published
        (TAU, around(5.84, 0.02, 20), Verdict.INCONCLUSIVE),  # of the last or the best epoch?
        (TAU, around(9.84, 0.02, 20), Verdict.INCONCLUSIVE),
        (TAU, [Outcome("diverged")] * 3, Verdict.INCONCLUSIVE),
    ],
)
def test_a_mean_is_judged_by_what_its_seeds_allow(tmp_path, of, outcomes, verdict):
    assert lines_of(tmp_path, of, outcomes)[of.value].verdict is verdict


def test_a_line_says_the_interval_the_equivalence_and_what_was_assumed(tmp_path):
    line = lines_of(tmp_path / "a", RKHS, around(2.10, 0.10, 8))["final_test_error"]
    assert line.texts()[3:] == (
        *("2.10 ± 0.10 (n=8)", "2.14 ± 0.16 (n=20)", "-0.04 [-0.16, +0.08]", "±0.20, p = 0.0089"),
        "reproduced",
    )
    line = lines_of(tmp_path / "b", RKHS, around(2.10, 0.50, 8))["final_test_error"]
    assert line.texts()[6:] == ("–", "inconclusive: these seeds allow ±0.43, the margin is 0.20")
    line = lines_of(tmp_path / "c", FOUR_BEST, around(17.0, 4.0, 20))["best_test_error"]
    assert line.reason == "assuming their sd is at most ours"
    line = lines_of(tmp_path / "d", TAU, around(5.84, 0.02, 20))["final_test_error"]
    assert line.reason == "the source does not say whether it is of the last or the best epoch"


def test_lines_are_judged_together(tmp_path):
    """A difference that one number alone would show is not enough among twelve."""
    numbers = [of for of in published() if of.figure == "flow-1a" and of.value == "final_test_error"]
    shifts = dict.fromkeys(range(6), 0.0) | {0: 0.14}
    configs = [protocol_of(of, seed) for of in numbers for seed in range(5)]
    errors_of = {}
    for place, of in enumerate(numbers):
        for config, outcome in zip(
            configs[5 * place : 5 * place + 5], around(of.mean + shifts[place], 0.06, 5), strict=True
        ):
            errors_of[signature(config)] = outcome
    runs = load(write_runs(tmp_path / "s", configs, lambda config: errors_of[signature(config)]).path).runs
    lines = [line for line in verify(runs) if line.p == line.p]
    assert len(lines) == 14  # the last network is that of another figure, too
    (first,) = [line for line in lines if line.number is numbers[0]]
    assert first.p < 0.05 < first.adjusted
    assert first.verdict is Verdict.INCONCLUSIVE
    assert first.reason.startswith("p = 0.0")
    alone = runs[(runs["arch.layers"] == 5) & runs["arch._target_"].str.endswith("RkhsNode")]
    alone.attrs = runs.attrs
    (line,) = [line for line in verify(alone) if line.number is numbers[0]]
    assert line.p == first.p
    assert line.p <= line.adjusted <= 2 * line.p < first.adjusted  # its best epoch is the only other one


def test_a_declared_sd_lets_three_seeds_say_something(tmp_path):
    numbers = [of for of in published() if of.figure == "flow-1a" and of.value == "final_test_error"]
    configs = [protocol_of(of, seed) for of in numbers for seed in range(3)]
    means = {of.words: of.mean for of in numbers}
    outcomes = {
        signature(protocol_of(of, seed)): outcome
        for of in numbers
        for seed, outcome in enumerate(around(means[of.words], 0.1, 3))
    }
    runs = load(write_runs(tmp_path / "s", configs, lambda config: outcomes[signature(config)]).path).runs
    for common, verdict in ((False, Verdict.INCONCLUSIVE), (True, Verdict.REPRODUCED)):
        found = [line for line in verify(runs, common=common) if line.number is RKHS]
        assert [line.verdict for line in found] == [verdict]
        assert found[0].prediction.freedom == (12 if common else 2)


@pytest.mark.parametrize(
    ("of", "states", "verdict"),
    [
        (SHL, "dddd", Verdict.REPRODUCED),
        (SHL, "ddd", Verdict.INCONCLUSIVE),  # three of three may be five of ten
        (SHL, "dd.", Verdict.INCONCLUSIVE),
        (SHL, "d..", Verdict.INCONCLUSIVE),  # p = 0.03, and the line of the best epoch beside it
        (SHL, "...", Verdict.DIFFERS),
        (SHL, "d", Verdict.INCONCLUSIVE),
        (RKHS, "d..", Verdict.INCONCLUSIVE),
        (RKHS, "d...........", Verdict.REPRODUCED),
        (RKHS, "dd.", Verdict.DIFFERS),
        (RKHS, "ddd", Verdict.DIFFERS),
        (TAU, "ddd", Verdict.INCONCLUSIVE),  # a published mean is of one seed at least that did not
        (TAU, "d" * 19, Verdict.INCONCLUSIVE),  # p = 0.05
    ],
)
def test_divergence_is_compared_as_k_of_n(tmp_path, of, states, verdict):
    outcomes = [Outcome("diverged", whole=2) if state == "d" else Outcome(error=1.0) for state in states]
    line = lines_of(tmp_path, of, outcomes)["diverged"]
    assert line.verdict is verdict
    theirs = "0/1" if of.diverged is None else f"{of.diverged}/20"
    assert line.texts()[2:5] == ("diverged", f"{states.count('d')}/{len(states)}", theirs)
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
    assert lines_of(tmp_path, RKHS, around(2.1, 0.05, 8), change)["final_test_error"].verdict is Verdict.REPRODUCED


def test_an_embedding_a_seed_is_one_cell(tmp_path):
    of = number("flow-2", channels=4)
    configs = [protocol_of(of, seed) for seed in range(3)]
    for config in configs:
        config["embedding"]["seed"] = config["seed"]
    runs = load(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=15.0)).path).runs
    (line,) = [line for line in verify(runs) if line.number is of]
    assert line.ours.sample.n == 3


def test_cells_that_differ_in_a_key_which_the_protocol_leaves_open_have_a_line_each(tmp_path):
    """Three embeddings, one of them a bad one: they are not one number with a large sd."""
    configs = [protocol_of(RKHS, seed) for seed in range(3) for _ in range(3)]
    for place, config in enumerate(configs):
        config["embedding"] |= {"fingerprint": f"file-{place % 3}", "seed": None}

    def outcome(config):
        return Outcome(error=(5.24 if config["embedding"]["fingerprint"] == "file-2" else 2.14) + 0.01 * config["seed"])

    runs = load(write_runs(tmp_path / "s", configs, outcome).path).runs
    lines = [line for line in verify(runs) if line.number is RKHS and line.value == "final_test_error"]
    assert [line.ours.cell for line in lines] == [f"fingerprint file-{place}" for place in range(3)]
    assert [line.ours.sample.n for line in lines] == [3, 3, 3]
    assert [line.verdict for line in lines] == [Verdict.REPRODUCED, Verdict.REPRODUCED, Verdict.DIFFERS]
    assert "(fingerprint file-2)" in lines[2].texts()[1]


def test_a_key_that_the_protocol_does_not_name_is_a_difference(tmp_path):
    def another_optimizer(config):
        config["optimizer"] = {"_target_": "mine.AdamW", "betas": [0.9, 0.999]}

    line = lines_of(tmp_path, RKHS, errors(2.1, 2.1, 2.1), another_optimizer)["final_test_error"]
    assert line.verdict is Verdict.NOT_COMPARABLE
    assert line.differing == {
        "optimizer._target_": ("mine.AdamW", "taunode.training.optimizer.Sgd"),
        "optimizer.betas": ((0.9, 0.999), None),
        "optimizer.momentum": (None, 0),
        "optimizer.weight_decay": (None, 0),
    }


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
    assert line.texts()[3:6] == ("9.00 ± 0.00 (n=3)", "6.61 ± 0.16 (n=5)", "+2.39")


def test_the_rest_of_an_experiment_is_not_run_and_other_experiments_are_left_out(tmp_path):
    runs = load(write_runs(tmp_path / "s", [protocol_of(RKHS, 0)], lambda _: Outcome(error=2.1)).path).runs
    assert {line.number.experiment for line in verify(runs)} == {"mnist_fig1a"}
    assert [line.verdict for line in verify(runs)].count(Verdict.NOT_RUN) == 10
    everything = [line.number for line in verify(runs, everything=True) if line.value != "diverged"]
    assert sorted(map(published().index, everything)) == list(range(60))


def test_a_sweep_without_such_networks_has_no_lines(tmp_path):
    runs = load(write_runs(tmp_path / "s", [configuration(depth=26)]).path).runs
    assert verify(runs) == []

"""What a training costs: counted as torch counts it, the same however memory is saved, and found out once."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from taunode import build
from taunode.api import compose
from taunode.plan.freeze import Freezer
from taunode.training.metrics import to_csv
from taunode.work import cost
from taunode.work.cost import Cost, flops_of_image, peak

TINY = ("dataset=synthetic", "runtime.device=cpu")
NETS = {
    "cifar": ("arch=resnet", "arch.depth=8"),
    "nobn": ("arch=resnet20_nobn", "arch.depth=8", "tau=inverse_sqrt"),
    "rkhs": ("arch=rkhs_node", "arch.layers=2", "arch.channels=4", "arch.hidden_channels=4"),
    "shl": ("arch=shl_node", "arch.layers=2", "arch.channels=4", "arch.hidden_channels=4", "solver=rk4"),
    "momentum": ("arch=momentum_resnet", "arch.depth=8"),
}


def frozen(*words: str) -> dict[str, Any]:
    return Freezer(Path.cwd()).freeze(compose([*TINY, *words]))[0]


@pytest.mark.parametrize("name", NETS)
def test_operations_are_those_that_torch_counts_of_real_images(name: str) -> None:
    config = frozen(*NETS[name])
    data = config["dataset"]
    network = build.network(config).train()
    with FlopCounterMode(display=False) as counting:
        network(torch.randn(2, data["channels"], data["image_size"], data["image_size"])).sum().backward()
    assert flops_of_image(config) == counting.get_total_flops() / 2 > 0


def test_what_is_computed_again_to_save_memory_is_not_counted() -> None:
    plain, saving = (frozen(*NETS["cifar"], f"arch.checkpoint_segments={n}") for n in ("null", 3))
    assert flops_of_image(plain) == flops_of_image(saving)


def test_a_step_of_a_solver_costs_the_same_each() -> None:
    counted = (flops_of_image(frozen(*NETS["rkhs"], "solver=euler", f"arch.layers={n}")) for n in (2, 4, 6))
    two, four, six = (count or 0.0 for count in counted)
    assert six - four == four - two > 0


def test_nobody_can_say_what_an_adaptive_solver_costs() -> None:
    assert flops_of_image(frozen(*NETS["rkhs"], "solver=dopri5")) is None


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
def test_the_peak_is_a_number_of_operations(precision: str) -> None:
    assert peak(torch.device("cpu"), precision) > 1e6


def test_both_are_found_out_late_and_the_highest_peak_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, measured = [], [0.5e9, 1e9, 0.8e9, 1e9]
    monkeypatch.setattr(cost, "flops_of_image", lambda config: counted.append(1) or 2e6)
    monkeypatch.setattr(cost, "peak", lambda device, precision: measured.pop(0))
    for percent in (20.0, 10.0, 10.0):
        one = Cost(frozen(*NETS["cifar"]), torch.device("cpu"), 2, tmp_path)
        assert one(100.0, cost.WORTH / 2) == {"gflop_per_second": None, "percent_of_peak": None}
        assert one(100.0, cost.WORTH) == one(100.0, 60.0) == {"gflop_per_second": 0.2, "percent_of_peak": percent}
    assert counted == [1]
    for path in (tmp_path / "cost").iterdir():
        path.write_text("{")
    assert Cost(frozen(*NETS["cifar"]), torch.device("cpu"), 1, tmp_path)(100.0, 60.0)["gflop_per_second"] == 0.2
    assert counted == [1, 1]


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Cost(frozen(*NETS["cifar"]), torch.device("cpu"), 1, tmp_path / "file")(1e6, 60.0)["gflop_per_second"]


def test_timings_of_an_older_release_go_on_with_the_new_columns() -> None:
    text = to_csv([{"epoch": 1, "seconds": 2.0}, {"epoch": 2, "seconds": 2.0, "gflop_per_second": 3.5}])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["gflop_per_second"] for row in rows] == ["", "3.5"]
    assert json.dumps([row["seconds"] for row in rows]) == '["2.0", "2.0"]'

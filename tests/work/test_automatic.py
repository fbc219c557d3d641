"""`auto` is decided by network and device, once: the first attempt's word holds for those that go on with its run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from harness import attempts, finish, plan, results, runtime

from taunode.work.automatic import decided

RESNET = ["arch.depth=8", "dataset.image_size=32"]


def channels_last(tmp_path: Path, *overrides: str, tiny: Any = None, **asked: Any) -> Any:
    (run,) = plan(tmp_path / "sweep", *overrides, **({} if tiny is None else {"tiny": tiny}))
    found = decided(runtime(compile="auto", **{"channels_last": "auto", **asked}), run.read_config())
    assert found.compile is False
    return found.channels_last


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (RESNET, True),
        (["arch=momentum_resnet", *RESNET], True),
        ([*RESNET, "arch.norm=none"], True),
        ([*RESNET, "dataset.image_size=15"], False),
        ([*RESNET, "precision=fp64"], False),
    ],
)
def test_networks_for_which_it_pays(overrides: list[str], expected: bool, tmp_path: Path) -> None:
    assert channels_last(tmp_path, *overrides) is expected


@pytest.mark.parametrize("arch", ["rkhs_node", "shl_node", "rkhs_resnet18", "resnet50"])
def test_others_stay_as_they_are(arch: str, tmp_path: Path) -> None:
    data = ["dataset=synthetic", "dataset.image_size=32", "dataset.channels=3"]
    assert channels_last(tmp_path, f"arch={arch}", *data, tiny=()) is False


def test_a_gpu_has_not_been_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert channels_last(tmp_path, *RESNET, device="cuda:1") is False
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert channels_last(tmp_path, *RESNET, device="auto") is False
    assert channels_last(tmp_path, *RESNET, device="cpu") is True


@pytest.mark.parametrize("asked", [True, False])
def test_what_was_asked_for_is_kept(asked: bool, tmp_path: Path) -> None:
    assert channels_last(tmp_path, *RESNET, "dataset.image_size=8", channels_last=asked) is asked


def test_what_the_first_attempt_found_is_recorded_and_kept(tmp_path: Path) -> None:
    by_itself, asked = (plan(tmp_path / name, *RESNET)[0] for name in ("auto", "asked"))
    finish([by_itself], compile="auto", channels_last="auto")
    finish([asked], channels_last=True)
    (attempt,) = attempts(by_itself)
    assert (attempt["runtime"]["compile"], attempt["runtime"]["channels_last"]) == (False, True)
    assert results(by_itself) == results(asked)
    assert runtime(channels_last="auto").keeping_bits([by_itself.read_claim(1)]).channels_last is True


def test_attempts_that_recorded_nothing_were_neither_compiled_nor_channels_last() -> None:
    attempt: Any = {"runtime": {"threads": 1}}
    found = runtime(compile=True, channels_last=True).keeping_bits([attempt])
    assert (found.compile, found.channels_last) == (False, False)

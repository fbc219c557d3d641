"""An ImageNet network on JPEGs that loader workers decode while it trains."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from data.conftest import picture
from harness import attempts, copies, execute, finish, plan, results, wait_until

from taunode.runs.directory import RunDirectory
from taunode.runs.state import State

CLASSES, EACH = 8, 6


def write_zip(path: Path, each: int, seed: int) -> None:
    """JPEGs of several sizes, a third of them grey, a third CMYK; no entries for the folders."""
    with zipfile.ZipFile(path, "w") as packed:
        for number in range(CLASSES * each):
            file = io.BytesIO()
            mode = ("RGB", "L", "CMYK")[number % 3]
            picture(seed + number, (36 + number % 7, 48 - number % 5), mode).save(file, "JPEG")
            packed.writestr(f"class{number % CLASSES}/{number}.jpg", file.getvalue())


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Plans a run on the images, with options."""
    write_zip(tmp_path / "train.zip", EACH, seed=0)
    write_zip(tmp_path / "validation.zip", 2, seed=1000)
    common = (
        "dataset=imagenet",
        f"dataset.train={tmp_path / 'train'}",
        "dataset.image_size=32",
        "schedule=imagenet",
        "schedule.epochs=2",
        "schedule.batch_size=10",
        "schedule.lr=0.001",
        f"runtime.cache_dir={tmp_path / 'cache'}",
    )

    def make(*options: str) -> RunDirectory:
        (run,) = plan(tmp_path / "sweep", tiny=(*common, *options))
        return run

    return make


def cache(run: RunDirectory) -> dict[str, Any]:
    return {"cache_dir": str(run.path.parents[2] / "cache")}


def test_imagenet_network(planned: Callable[..., RunDirectory]) -> None:
    run = planned("arch=resnet50", "tau=inverse_sqrt_largest_stage", "schedule.epochs=1")
    finish([run], loader_workers=1, checkpoint_seconds=1000.0, **cache(run))
    row = pd.read_csv(run.path / "metrics.csv").iloc[-1]
    assert row.train_top5_error <= row.train_error
    assert row.test_top5_error <= row.test_error


def test_loader_workers_and_an_interruption_change_no_byte(planned: Callable[..., RunDirectory]) -> None:
    run = planned("arch=resnet", "arch.depth=8")
    alone, helped, killed = copies(run, 3)
    finish([alone], **cache(run))
    finish([helped], loader_workers=2, **cache(run))
    worker = execute([killed], loader_workers=1, **cache(run))
    wait_until(lambda: killed.checkpoint(1).exists(), worker)
    worker.kill()
    worker.join()
    finish([killed], loader_workers=0, lease_seconds=0.5, **cache(run))
    assert killed.read_record().state == State.DONE
    assert len(attempts(killed)) == 2
    assert results(alone) == results(helped) == results(killed)


def test_damaged_image_ends_the_run_with_its_name(planned: Callable[..., RunDirectory]) -> None:
    run = planned("arch=resnet", "arch.depth=8")
    path = run.path.parents[2] / "train.zip"
    content = bytearray(path.read_bytes())
    content[content.index(b"class7/15.jpg") + 100] ^= 0xFF
    path.write_bytes(content)
    finish([run], loader_workers=1, **cache(run))
    record = run.read_record()
    assert record.state == State.FAILED
    assert record.attempts[-1]["end"] == f"{path}/class7/15.jpg is damaged: Bad CRC-32"

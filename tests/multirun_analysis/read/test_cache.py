"""The cache: with it or without, loading gives the same; only what changed is read; damage costs nothing but time."""

import os
import shutil

import msgspec
import pandas as pd
import pytest
from synthetic import Outcome, configuration, noise, write_epochs, write_run, write_runs

from multirun_analysis import load
from multirun_analysis.read import cache
from multirun_analysis.read import sweep as reading
from multirun_analysis.read.taunode_run import OurRun
from taunode.runs.directory import RunDirectory
from taunode.runs.files import write_text
from taunode.runs.signature import signature


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Sweeps of any size are cached here."""
    monkeypatch.setattr(cache, "WORTH", 1)
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "analysis"


@pytest.fixture
def count(monkeypatch):
    """How many rows and runs' epochs have been read since it was last asked."""
    read = {"rows": 0, "epochs": 0}
    one, many = reading._read, reading.read_epochs

    def read_row(run, names):
        read["rows"] += 1
        return one(run, names)

    def read_epochs(runs):
        read["epochs"] += len(runs)
        return many(runs)

    monkeypatch.setattr(reading, "_read", read_row)
    monkeypatch.setattr(reading, "read_epochs", read_epochs)

    def asked():
        was = tuple(read.values())
        read.update(rows=0, epochs=0)
        return was

    return asked


def both(path, **options):
    sweep = load(path, **options)
    return sweep.runs, sweep.epochs, sweep.broken


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(a, b)


def ten(path):
    return list(write_runs(path, [configuration(depth=d, seed=s) for d in (20, 56) for s in range(5)]))


def test_the_second_load_reads_nothing_and_gives_the_same(tmp_path, place, count):
    ten(tmp_path / "s")
    first = both(tmp_path / "s")
    assert count() == (10, 10)
    assert_same(both(tmp_path / "s"), first)
    assert count() == (0, 0)
    shutil.rmtree(place)
    assert_same(both(tmp_path / "s"), first)


def test_only_what_changed_is_read_again(tmp_path, place, count):
    runs = ten(tmp_path / "s")
    both(tmp_path / "s")
    count()
    write_epochs(runs[3], 1, 5, 5, 77.0, noise("x", 5))
    new = configuration(depth=110)
    sign = signature(new)
    write_run(RunDirectory(tmp_path / "s" / "runs" / f"arch.depth=38-{sign[:8]}"), new, sign, Outcome(error=3.0))
    shutil.rmtree(runs[7].path)
    changed = both(tmp_path / "s")
    assert count() == (2, 2)
    shutil.rmtree(place)
    assert_same(both(tmp_path / "s"), changed)
    assert 77.0 in changed[1]["test_error"].to_numpy()


def test_a_part_of_a_sweep_comes_from_the_same_cache(tmp_path, place, count):
    ten(tmp_path / "s")
    both(tmp_path / "s")
    count()
    part = both(tmp_path / "s", where="arch.depth == 56")
    assert count() == (0, 0)
    assert len(part[0]) == 5
    assert set(part[1]["run"]) == set(part[0]["run"]) == set(part[1]["run"].cat.categories)


def test_a_part_of_a_sweep_leaves_the_cache_whole(tmp_path, place, count):
    runs = ten(tmp_path / "s")
    both(tmp_path / "s")
    write_text(runs[0].metrics(1), runs[0].metrics(1).read_text())
    both(tmp_path / "s", where="arch.depth == 20")
    count()
    both(tmp_path / "s")
    assert count() == (0, 1)


def test_few_changed_runs_are_read_each_time_rather_than_all_written(tmp_path, place, count, monkeypatch):
    runs = ten(tmp_path / "s")
    both(tmp_path / "s")
    monkeypatch.setattr(cache, "WORTH", 2)
    write_text(runs[0].metrics(1), runs[0].metrics(1).read_text())
    count()
    both(tmp_path / "s")
    both(tmp_path / "s")
    assert count() == (1, 2)
    write_text(runs[1].metrics(1), runs[1].metrics(1).read_text())
    first, second = both(tmp_path / "s"), both(tmp_path / "s")
    assert_same(first, second)
    assert count() == (1, 2)


def test_running_runs_are_looked_at_every_time(tmp_path, place, count):
    write_runs(tmp_path / "s", [configuration(seed=s) for s in range(2)], lambda _: Outcome("running"))
    both(tmp_path / "s")
    both(tmp_path / "s")
    assert count()[0] == 4


def test_broken_runs_are_listed_every_time(tmp_path, place):
    runs = ten(tmp_path / "s")
    runs[2].config.write_text("a: [")
    runs[4].metrics(1).write_text("epoch,lr\n1")
    first = both(tmp_path / "s")
    assert len(first[2]) == 2
    assert_same(both(tmp_path / "s"), first)


@pytest.mark.parametrize("name", ["rows.msgpack", "epochs.arrow"])
@pytest.mark.parametrize("content", [b"", b"ARROW1 garbage ARROW1", None])
def test_a_damaged_cache_is_none(tmp_path, place, name, content):
    ten(tmp_path / "s")
    first = both(tmp_path / "s")
    (path,) = place.glob(f"*/{name}")
    write_text(path, "") if content == b"" else path.write_bytes(content or path.read_bytes()[:-100])
    assert_same(both(tmp_path / "s"), first)


@pytest.mark.parametrize("number", [0, 7])
@pytest.mark.parametrize("packed", [b"", b"\xc1", msgspec.msgpack.encode([{}, 1])])
def test_rows_that_lie_are_none(tmp_path, place, number, packed):
    ten(tmp_path / "s")
    first = both(tmp_path / "s")
    (path,) = place.glob("*/rows.msgpack")
    held = msgspec.msgpack.decode(path.read_bytes())
    held["runs"] = {key: (stamp, number, packed) for key, (stamp, _, _) in held["runs"].items()}
    path.write_bytes(msgspec.msgpack.encode(held))
    assert_same(both(tmp_path / "s"), first)


def test_epochs_of_other_columns_join_what_is_known(tmp_path, place, count):
    runs = ten(tmp_path / "s")
    both(tmp_path / "s")
    for run in runs[::3]:
        header, *lines = run.metrics(1).read_text().splitlines()
        write_text(run.metrics(1), "\n".join([f"{header},tau", *(f"{line},0.5" for line in lines[:2]), ""]))
    count()
    joined = both(tmp_path / "s")[1]
    assert count() == (4, 4)
    shutil.rmtree(place)
    whole = both(tmp_path / "s")[1]
    pd.testing.assert_frame_equal(joined[whole.columns], whole)


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch, place):
    ten(tmp_path / "s")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "file"))
    assert len(both(tmp_path / "s")[1]) == 50


def test_nothing_is_written_into_the_sweep(tmp_path, place):
    ten(tmp_path / "s")
    before = sorted(tmp_path.joinpath("s").rglob("*"))
    both(tmp_path / "s")
    assert sorted(tmp_path.joinpath("s").rglob("*")) == before


def test_a_stamp_follows_every_file_that_is_read_and_no_heartbeat(tmp_path):
    run = ten(tmp_path / "s")[0]

    def stamp():
        return cache.look(OurRun("key", "name", str(run.path)))[1]

    first = stamp()
    os.utime(run.claim(1), (1, 1))
    assert stamp() == first
    for path in (run.config, run.record, run.done, run.metrics(1), run.timings(1)):
        was = stamp()
        write_text(path, path.read_text())
        assert stamp() != was
    run.claim(2).write_text("{}")
    assert stamp() != was


def test_lists_and_large_numbers_come_back_as_they_are(tmp_path, place):
    config = configuration(seed=2**70)
    config["dataset"]["classes_of"] = [{"a": [1, 2.5, None]}, "x"]
    write_runs(tmp_path / "s", [config, configuration()])
    first = both(tmp_path / "s")
    assert_same(both(tmp_path / "s"), first)
    assert first[0]["seed"].tolist().count(2**70) == 1


def test_runs_without_an_epoch_are_read_again_as_they_were(tmp_path, place, count):
    configs = [configuration(seed=seed) for seed in range(3)]
    sweep = write_runs(tmp_path / "s", configs, lambda config: Outcome("planned"))
    first = both(sweep.path)
    assert_same(both(sweep.path), first)
    assert first[1].empty

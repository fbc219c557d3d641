"""Archives are read as the sweeps that they are of, and the sweep itself is not needed."""

import os
import shutil
import time

import archives
import pytest

import multirun_analysis as ma
from taunode.runs.archive import find, write
from taunode.runs.unpack import opened


@pytest.fixture
def archived(grid_sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "grid.zip"
    with open(path, "wb") as file:
        write(grid_sweep, find(grid_sweep), (), file, lambda count: None)
    return path


def test_every_table_has_the_bytes_of_the_sweeps(grid_sweep, archived, tmp_path):
    with opened(archived) as archive:
        archive.unpack(tmp_path / "again")
    for again in (archived, tmp_path / "again"):
        first, second = ma.load(grid_sweep), ma.load(again)
        for name in ("csv", "parquet"):
            assert ma.table(first).content(name) == ma.table(second).content(name)
        assert first.epochs.to_csv() == second.epochs.to_csv()
        assert first.runs.drop(columns=["path", "sweep"]).equals(second.runs.drop(columns=["path", "sweep"]))


def test_every_command_takes_it(grid_sweep, archived, call, tmp_path):
    assert call("table", archived)[0] == 0
    assert call("compare", grid_sweep, archived)[0] == 0
    assert "0.00" in call("compare", grid_sweep, archived)[1]
    assert "not comparable" in call("verify", archived)[1]
    assert call("figure", archived)[0] == 0
    assert (tmp_path / "grid-figures").is_dir()
    assert call("report", archived) == (0, f"{tmp_path / 'grid-report.html'}\n", "")


def test_it_is_unpacked_once(archived, tmp_path):
    ma.load(archived)
    (unpacked,) = (tmp_path / "cache" / "analysis" / "archives").iterdir()
    marks = {path: path.stat().st_ino for path in unpacked.rglob("*")}
    ma.load(archived)
    assert {path: path.stat().st_ino for path in unpacked.rglob("*")} == marks
    shutil.rmtree(unpacked)
    assert len(ma.load(archived).runs) == len(marks and ma.load(archived).runs)


def test_what_nobody_has_read_for_a_month_goes(archived, tmp_path):
    ma.load(archived)
    folder = tmp_path / "cache" / "analysis" / "archives"
    (unpacked,) = folder.iterdir()
    for name, days in (("old", 31), ("young", 29), (".being-written", 31)):
        (folder / name / "runs").mkdir(parents=True)
        os.utime(folder / name, (0, time.time() - days * 86400))
    os.utime(unpacked, (0, 0))
    ma.load(archived)
    assert {path.name for path in folder.iterdir()} == {unpacked.name, "young", ".being-written"}
    assert len(ma.load(archived).epochs)


def test_one_that_lies_is_refused_and_leaves_nothing_in_the_cache(tmp_path, monkeypatch, call):
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    made = archives.healthy()
    made.files[f"{archives.RUN}/run.json"]["sha256"] = "0" * 64
    code, out, err = call("table", made.write(tmp_path / "x.zip"))
    assert (code, out) == (2, "")
    assert "run.json' has not the digest that the manifest says" in err
    assert not list((tmp_path / "cache").rglob("*.csv"))

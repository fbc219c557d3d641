"""Archives: the same directory gives the same bytes and comes back whole; what is not as it should be is refused."""

import os
import zipfile
from pathlib import Path

import archives
import pytest
from cli import snapshot
from hypothesis import given
from hypothesis import strategies as st

from taunode.errors import BadInput
from taunode.runs.archive import find, write
from taunode.runs.files import Unreadable
from taunode.runs.manifest import NAME, why_no_name
from taunode.runs.unpack import opened


def make(root: Path) -> None:
    run = root / "runs" / "seed=0-0123abcd"
    run.mkdir(parents=True)
    (root / "commands").mkdir()
    (root / "commands" / "1.yaml").write_text("command: [taunode]\n")
    for name in ("config.yaml", "run.json", "metrics.1.csv", "model.1.safetensors", "checkpoint.1.pt", "log.1.txt"):
        (run / name).write_text(f"{name}\n" * 50)
    (run / "metrics.csv").symlink_to("metrics.1.csv")
    os.link(run / "model.1.safetensors", run / "model.safetensors")
    (run / ".metrics.1.csv.0123abcd").write_text("of a writer that was killed")
    (root / "elsewhere").symlink_to("/etc")


def pack(root: Path, path: Path, *without: str) -> Path:
    with open(path, "wb") as file:
        write(root, find(root, without), without, file, lambda count: None)
    return path


def test_the_same_files_give_the_same_bytes_whatever_their_times_and_order(tmp_path):
    make(tmp_path / "one")
    make(tmp_path / "two")
    for path in (tmp_path / "two").rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1, 1))
    first, second = (pack(tmp_path / name, tmp_path / f"{name}.zip").read_bytes() for name in ("one", "two"))
    assert first == second


def test_what_is_in_it_and_what_is_not(tmp_path):
    make(tmp_path / "sweep")
    names = set(zipfile.ZipFile(pack(tmp_path / "sweep", tmp_path / "all.zip")).namelist())
    run = "runs/seed=0-0123abcd"
    assert names == {
        "commands/1.yaml",
        NAME,
        *(f"{run}/{name}" for name in ("config.yaml", "run.json", "metrics.1.csv", "log.1.txt")),
        *(f"{run}/{name}" for name in ("model.1.safetensors", "checkpoint.1.pt")),
    }
    small = set(zipfile.ZipFile(pack(tmp_path / "sweep", tmp_path / "small.zip", "weights", "checkpoints")).namelist())
    assert names - small == {f"{run}/model.1.safetensors", f"{run}/checkpoint.1.pt"}
    assert find(tmp_path / "sweep").apart == {"elsewhere": "is a symbolic link"}


def test_it_comes_back(tmp_path):
    make(tmp_path / "sweep")
    with opened(pack(tmp_path / "sweep", tmp_path / "sweep.zip")) as archive:
        archive.verify()
        archive.unpack(tmp_path / "again")
    for name in find(tmp_path / "sweep").files:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "sweep" / name).read_bytes()
    assert find(tmp_path / "again").files.keys() == find(tmp_path / "sweep").files.keys()


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    make(tmp_path / "sweep")
    found = find(tmp_path / "sweep")
    (tmp_path / "sweep" / "commands" / "1.yaml").write_text("another one\n")
    with open(tmp_path / "x.zip", "wb") as file, pytest.raises(Unreadable, match="changed while it was read"):
        write(tmp_path / "sweep", found, (), file, lambda count: None)


def test_what_becomes_far_smaller_is_no_bomb(tmp_path):
    make(tmp_path / "sweep")
    with open(tmp_path / "sweep" / "log", "wb") as log:
        log.truncate(2**27)
    path = pack(tmp_path / "sweep", tmp_path / "sweep.zip")
    with opened(path) as archive:
        archive.verify()
        assert archive.manifest.total > 2**27


def test_the_healthy_one_is_taken(tmp_path):
    with opened(archives.healthy().write(tmp_path / "x.zip")) as archive:
        archive.verify()
        archive.unpack(tmp_path / "x")
    assert (tmp_path / "x" / archives.RUN / "run.json").read_text() == "what run.json holds\n"


@pytest.mark.parametrize("case", archives.CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_spoilt_is_refused_by_name_and_nothing_is_written(tmp_path, case):
    made = archives.healthy()
    case.spoil(made)
    path = made.write(tmp_path / "x.zip")
    before = snapshot(tmp_path)
    with pytest.raises(Unreadable) as refused, opened(path) as archive:
        archive.verify()
    assert case.said in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(Unreadable), opened(path) as archive:  # and if nobody had verified it before
        archive.unpack(tmp_path / "deep" / "x")
    (tmp_path / "deep").exists() and (tmp_path / "deep").rmdir()
    os.utime(tmp_path, ns=(before[str(tmp_path)][2],) * 2)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_one_that_is_cut_or_damaged_is_refused(tmp_path, place):
    make(tmp_path / "sweep")
    whole = pack(tmp_path / "sweep", tmp_path / "x.zip").read_bytes()
    at = int(len(whole) * place)
    for spoilt in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
        (tmp_path / "y.zip").write_bytes(spoilt)
        with pytest.raises(Unreadable), opened(tmp_path / "y.zip") as archive:
            archive.verify()


@pytest.mark.parametrize("made", ["missing", "a folder", "a pipe", "text"])
def test_what_is_no_archive_is_refused(tmp_path, made):
    path = tmp_path / "x.zip"
    {"a folder": path.mkdir, "a pipe": lambda: os.mkfifo(path), "text": lambda: path.write_text("x")}.get(
        made, lambda: None
    )()
    with pytest.raises(BadInput), opened(path):
        pass


@given(st.text(max_size=20))
def test_no_name_that_is_taken_leads_out(name):
    if why_no_name(name) is None:
        place = os.path.normpath(os.path.join("/a/b", name))
        assert place.startswith("/a/b/")
        assert place == f"/a/b/{name}"

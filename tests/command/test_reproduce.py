"""Reproducing: a run from a dirty tree gives the same bytes again; its code is executed by nobody who did not ask."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cli import TINY, environment, snapshot

from taunode.command import reproduction
from taunode.runs.directory import RunDirectory

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a repository")


def git(place, *words):
    return subprocess.run(["git", "-C", str(place), *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """A directory with `clone`, a repository that was dirty when the run in `sweep` was trained, and is clean now."""
    here = tmp_path_factory.mktemp("dirty")
    git(here, "clone", "--quiet", "--no-hardlinks", str(ROOT), "clone")
    clone = here / "clone"
    attempt = clone / "taunode" / "work" / "attempt.py"
    text = attempt.read_text()
    assert 'f"images {seed}"' in text
    attempt.write_text(
        text.replace('f"images {seed}"', 'f"{WORD} {seed}"').replace(
            "import torch\n", "import torch\n\nfrom taunode.work.word import WORD\n", 1
        )
    )
    (clone / "taunode" / "work" / "word.py").write_text('"""A module that git does not know."""\n\nWORD = "pictures"\n')
    (clone / "taunode" / "conf").symlink_to("../conf")
    words = [sys.executable, "-m", "taunode.train", "-m", *TINY, "schedule.epochs=2", "seed=0", "hydra.sweep.dir=sweep"]
    subprocess.run(words, cwd=here, env=environment(PYTHONPATH=str(clone)), check=True, capture_output=True)
    git(clone, "checkout", "--quiet", ".")
    (clone / "taunode" / "work" / "word.py").unlink()
    return here


@pytest.fixture
def scene(dirty, tmp_path, monkeypatch):
    """A copy of the sweep in the directory of the test; returns its one run."""
    shutil.copytree(dirty / "sweep", tmp_path / "sweep", symlinks=True)
    monkeypatch.chdir(tmp_path)
    (run,) = (tmp_path / "sweep" / "runs").iterdir()
    return RunDirectory(run)


def test_a_run_from_a_dirty_tree_gives_the_same_bytes(dirty, scene, call, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    before, clone = snapshot(tmp_path), dirty / "clone"
    code, out, err = call("reproduce", scene.path, "--repository", clone)
    assert (code, out) == (2, "")
    assert "taunode/work/attempt.py +3 −1" in err
    assert "taunode/work/word.py +3 −0" in err
    assert "nothing was executed; --yes" in err
    assert snapshot(tmp_path) == before
    assert git(clone, "worktree", "list").count("\n") == 1

    code, out, err = call("reproduce", scene.path, "--repository", clone, "--yes")
    assert code == 0, out + err
    assert "metrics.csv: identical, byte for byte (2 epochs)" in out
    assert "code:" not in out
    place = tmp_path / "sweep-reproduced" / scene.path.name
    again = RunDirectory(place / "run")
    assert (again.path / "metrics.csv").read_bytes() == (scene.path / "metrics.csv").read_bytes()
    assert (again.path / "model.safetensors").read_bytes() == (scene.path / "model.safetensors").read_bytes()
    assert again.read_record().signature == scene.read_record().signature
    assert {path: what for path, what in snapshot(tmp_path).items() if path in before and path != str(tmp_path)} == {
        path: what for path, what in before.items() if path != str(tmp_path)
    }

    shutil.rmtree(again.path)  # and what is compared is what there is
    shutil.copytree(scene.path, again.path, symlinks=True)
    table = again.metrics(1).read_text().splitlines()
    last = table[-1].split(",")
    last[table[0].split(",").index("test_error")] = "1e3"
    again.metrics(1).unlink()
    again.metrics(1).write_text("\n".join([*table[:-1], ",".join(last)]) + "\n")
    code, out, _ = call("reproduce", scene.path, "--repository", clone, "--yes")
    assert code == 1
    assert "test_error: the largest difference is " in out
    assert ", in epoch 2" in out
    git(clone, "worktree", "remove", "--force", str(place / "code"))


def commands_of(run):
    return run.path / run.read_record().command


def with_code(run, **changes):
    """Change what the command recorded."""
    path = commands_of(run)
    told = yaml.safe_load(path.read_text())
    told["code"] |= changes
    path.write_text(json.dumps(told))


def with_patch(run, content):
    """Let this be the recorded patch, under the name that it would have."""
    name = f"patch-{hashlib.blake2b(content, digest_size=8).hexdigest()}.diff"
    commands_of(run).with_name(name).write_bytes(content)
    with_code(run, patch=name)


OUT = b"diff --git a/../../hit b/../../hit\nnew file mode 100644\n--- /dev/null\n+++ b/../../hit\n@@ -0,0 +1 @@\n+hit\n"
LINK = (
    OUT.replace(b"../../hit", b"l")
    .replace(b"100644", b"120000")
    .replace(b"+hit\n", b"+..\n\\ No newline at end of file\n")
)
THROUGH = LINK + b"diff --git a/l/hit b/l/hit\nnew file mode 100644\n--- /dev/null\n+++ b/l/hit\n@@ -0,0 +1 @@\n+hit\n"
HOOK = OUT.replace(b"../../hit", b".git/hooks/post-checkout")


def _link_commands(run):
    commands = commands_of(run).parent.resolve()
    commands.rename(commands.with_name("elsewhere"))
    commands.symlink_to("elsewhere")


def _change_patch(run):
    (path,) = commands_of(run).parent.glob("patch-*.diff")
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: run.done.unlink(), "has no result that could be reproduced"),
        (lambda run: commands_of(run).unlink(), "there is no such file"),
        (_link_commands, "is a symbolic link"),
        (lambda run: with_code(run, commit="--upload-pack=touch hit"), "records no commit"),
        (lambda run: with_code(run, commit="0" * 40), "no repository that has the commit 000000000000"),
        (lambda run: with_code(run, patch="../../../outside.diff"), "names a patch that is none of taunode's"),
        (_change_patch, "has been changed since it was recorded"),
        (lambda run: with_patch(run, b"no patch"), "none that git reads"),
        (lambda run: with_patch(run, OUT), "git apply refuses"),
        (lambda run: with_patch(run, THROUGH), "git apply refuses"),
        (lambda run: with_patch(run, HOOK), "git apply refuses"),
        (lambda run: with_code(run, own={"folders": ["/x"]}), "--config-dir DIR names it"),
    ],
    ids=[
        "open",
        "no command",
        "a link to commands",
        "an option",
        "no commit",
        "elsewhere",
        "changed",
        "text",
        "out",
        "link",
        "hook",
        "own",
    ],
)
def test_what_cannot_be_reproduced_is_refused_and_nothing_is_left(dirty, scene, call, tmp_path, spoil, said):
    spoil(scene)
    before, clone = snapshot(tmp_path), dirty / "clone"
    code, out, err = call("reproduce", scene.path, "--repository", clone, "--yes")
    assert (code, out) == (2, "")
    assert said in err
    assert {k: v for k, v in snapshot(tmp_path).items() if "-reproduced" not in k and k != str(tmp_path)} == {
        k: v for k, v in before.items() if k != str(tmp_path)
    }
    assert not list(tmp_path.rglob("hit"))
    assert not list(tmp_path.glob("sweep-reproduced/*"))
    assert git(clone, "worktree", "list").count("\n") == 1


def test_another_reproduction_stays(dirty, scene, call, tmp_path):
    place = tmp_path / "sweep-reproduced" / scene.path.name
    place.mkdir(parents=True)
    (place / "mine").touch()
    code, _, err = call("reproduce", scene.path, "--repository", dirty / "clone", "--yes")
    assert code == 2
    assert "is there already" in err
    assert os.listdir(place) == ["mine"]


def test_the_recorded_versions_are_installed_where_that_is_asked(scene, tmp_path, monkeypatch):
    found = reproduction.recorded(scene)
    typed = []

    def run(words, check):
        typed.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(reproduction.subprocess, "run", run)
    python = str(tmp_path / "venv" / "bin" / "python")
    assert str(reproduction.install(found, tmp_path)) == python
    assert typed[0] == [sys.executable, "-m", "venv", str(tmp_path / "venv")]
    assert typed[1] == [python, "-m", "pip", "install", *reproduction.pins(found), str(tmp_path / "code")]
    assert f"torch=={found.attempt['versions']['torch']}" in typed[1]


def test_versions_are_versions(scene):
    found = reproduction.recorded(scene)
    found.attempt["versions"] |= {"torch": "1.0; touch hit", "numpy": "2.0.1", "evil": "1.0"}
    assert "numpy==2.0.1" in reproduction.pins(found)
    assert not [pin for pin in reproduction.pins(found) if pin.startswith(("torch==", "evil", "taunode"))]
    assert ("torch", "1.0; touch hit") in [row[:2] for row in reproduction.versions(found)]

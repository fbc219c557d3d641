"""A path as a shell would read it."""

from pathlib import Path

import pytest
from cli import refusal

from taunode.errors import BadInput
from taunode.paths import expanded


def test_what_stands_for_something_else(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PLACE", "there")
    assert expanded("~/a", "key") == Path("/home/me/a")
    assert expanded("$HOME/${PLACE}/b", "key") == Path("/home/me/there/b")
    assert expanded("a/~b", "key") == Path("a/~b")
    assert expanded(Path("x"), "key") == Path("x")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("$NOWHERE_AT_ALL/a", "$NOWHERE_AT_ALL is not set"),
        ("${NOWHERE}/a", "${NOWHERE} is not set"),
        ("~nobody-of-that-name/a", "no user 'nobody-of-that-name'"),
        ("a\0b", "zero byte"),
        ("x" * 300, "a name of 300 bytes"),
        ("ä" * 200, "a name of 400 bytes"),
    ],
)
def test_what_cannot_be(typed, words):
    with pytest.raises(BadInput, match=r"key") as refused:
        expanded(typed, "key")
    assert words in str(refused.value)


@pytest.mark.parametrize("option", ["hydra.run.dir", "runtime.data_root", "runtime.cache_dir"])
def test_wherever_a_path_is_typed(option, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert f"{option}=$NOPE/a: $NOPE is not set" in refusal([f"{option}=$NOPE/a"], capfd)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_where_a_shell_would_have_put_it(tmp_path, monkeypatch):
    from taunode.command.line import Line
    from taunode.command.plugins import register
    from taunode.plan.command_line import plan_multirun, plan_single

    register()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", "there")
    one = Line.of(["hydra.run.dir=~/$PLACE"]).composer()
    assert plan_single(one).root == tmp_path / "there"
    sweep = Line.of(["seed=0,1", "hydra.sweep.dir=~/$PLACE/{name}"], multirun=True).composer()
    assert plan_multirun(sweep, sweep.typed).root == tmp_path / "there" / "seed"

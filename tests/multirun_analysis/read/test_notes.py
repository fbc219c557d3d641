"""What users have noted of sweeps and runs: columns where it exists, lines below tables, text in reports."""

import pytest
import synthetic

import multirun_analysis as ma
from multirun_analysis.report.page import render
from taunode.runs.note import Note, write_note


@pytest.fixture
def sweep(tmp_path):
    synthetic.write_sweep(tmp_path / "s", depths=(20, 56), seeds=range(30))
    return tmp_path / "s"


def test_nothing_is_said_where_nothing_is_noted(sweep):
    loaded = ma.load(sweep)
    assert not {"note", "tags"} & set(loaded.runs)
    assert loaded.notes == []


def test_columns_conditions_and_lines(sweep):
    before = ma.table(ma.load(sweep))  # and so it is in the cache
    first, second = sorted((sweep / "runs").iterdir())[:2]
    write_note(sweep, Note("for the thesis", ("old",)))
    write_note(first, Note("a bad disk", ("bad", "old")))
    write_note(second, Note("", ("bad",)))
    loaded = ma.load(sweep)
    noted = loaded.runs.set_index("run")
    assert noted.loc[first.name, "note"] == "a bad disk"
    assert noted.loc[first.name, "tags"] == ("bad", "old")
    assert noted["tags"].notna().sum() == 2
    assert loaded.notes == [
        f"{sweep}: for the thesis #old",
        f"{first.name}: a bad disk #bad #old",
        f"{second.name}: #bad",
    ]
    assert len(ma.load(sweep, where='"bad" in tags').runs) == 2
    assert len(ma.load(sweep, where='"bad" not in tags').runs) == len(loaded.runs) - 2
    view = ma.table(loaded)
    assert view.content("csv") == before.content("csv")
    assert "a bad disk #bad #old" in str(view)
    page = render(loaded).decode()
    assert f"{first.name}: a bad disk #bad #old" in page
    assert '"key": "tags"' in page
    write_note(first, Note())
    assert ma.load(sweep).notes[1:] == [f"{second.name}: #bad"]

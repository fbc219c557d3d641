"""Telling apart: the fewest keys, and they do tell."""

import itertools

from synthetic import Outcome, configuration, protocol_of, write_runs, write_sweep

from multirun_analysis import cells, load
from multirun_analysis.cell.naming import called, telling_keys
from multirun_analysis.papers.published import published


def keys_of(path):
    found = cells(load(path).runs)
    return found, telling_keys(found, found.attrs["keys"])


def test_a_grid_is_told_apart_by_its_axes(tmp_path):
    found, keys = keys_of(write_sweep(tmp_path / "s").path)
    assert keys == ["arch.depth", "arch.norm", "tau"]
    assert len(found[keys].drop_duplicates()) == len(found)
    assert called(found.iloc[0], keys) == "depth 20, norm batch, τ = 1"


def test_what_follows_from_other_keys_is_not_said(tmp_path):
    numbers = [n for n in published() if n.figure == "flow-1a" and n.value == "final_test_error"]
    configs = [protocol_of(number, 0) for number in numbers]
    found, keys = keys_of(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=2.0)).path)
    assert keys == ["arch._target_", "arch.layers"]  # interpolation follows from the network
    assert {called(cell, keys) for _, cell in found.iterrows()} >= {"RKHS, layers 5", "SHL, layers 20"}
    for fewer in itertools.combinations(keys, 1):
        assert len(found[list(fewer)].drop_duplicates()) < len(found)


def test_lists_and_missing_keys_tell_apart_too(tmp_path):
    short, wide = configuration(epochs=9), configuration()
    wide["arch"]["wings"] = 2
    found, keys = keys_of(write_runs(tmp_path / "s", [configuration(), short, wide]).path)
    assert len(found[keys].drop_duplicates()) == 3
    assert called({"init._target_": None}, ["init._target_"]) == "init –"
    assert "wings –" in called(found[found["arch.wings"].isna()].iloc[0], ["arch.wings"])


def test_one_cell_needs_no_name(tmp_path):
    assert keys_of(write_runs(tmp_path / "s", [configuration(seed=s) for s in range(3)]).path)[1] == []

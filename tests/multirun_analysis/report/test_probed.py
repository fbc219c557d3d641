"""A run's page shows its probes as maps, within the room there is, and a damaged file hides nothing else."""

import base64

import numpy as np
import pandas as pd
from synthetic import configuration, write_runs

from multirun_analysis.read.probes import ENDS, PARTS, QUANTITIES
from multirun_analysis.report.detail import detail
from multirun_analysis.report.probed import LEVELS, MOST, maps
from taunode.training.probes import KINDS, MEASURED


def table(blocks, steps):
    rows = [(0, step, "block", block) for step in steps for block in range(blocks)]
    rows += [(0, 0, "stem", 0), (0, 0, "head", blocks)]
    found = pd.DataFrame(rows, columns=["epoch", "step", "part", "block"])
    found[[*QUANTITIES]] = np.nan
    return found.assign(features=10.0 ** (found["block"] % 3))


def levels(one):
    read = np.frombuffer(base64.b64decode(one["levels"]), np.uint8)
    return read.reshape(len(one["blocks"]), len(one["steps"]))


def test_a_map_a_quantity_that_has_numbers_on_a_logarithmic_scale():
    (one,) = maps(table(3, (0, 50)))
    assert (one["title"], one["blocks"], one["steps"]) == (QUANTITIES["features"], [0, 1, 2], [0, 50])
    assert (one["low"], one["high"]) == (1.0, 100.0)
    assert levels(one).tolist() == [[1, 1], [128, 128], [LEVELS, LEVELS]]


def test_what_is_not_finite_or_not_above_zero_has_no_level():
    found = table(4, (0,))
    found.loc[:2, "features"] = [0.0, -1.0, np.inf]
    (one,) = maps(found)
    assert levels(one)[:, 0].tolist() == [0, 0, 0, 128]
    assert maps(found.assign(features=0.0)) == []


def test_a_thousand_blocks_and_steps_are_thinned_from_end_to_end():
    (one,) = maps(table(600, range(0, 5000, 50)))
    assert levels(one).shape == (MOST, MOST)
    assert [one["blocks"][0], one["blocks"][-1], one["steps"][0], one["steps"][-1]] == [0, 599, 0, 4950]


def test_a_run_without_probes_or_with_damaged_ones_has_none(tmp_path):
    (run,) = write_runs(tmp_path / "s", [configuration()])
    assert detail(run.path)["probes"] == []
    run.probes(1).write_bytes(b"no parquet")
    assert detail(run.path)["probes"] == []
    assert detail(run.path)["attempts"]
    table(3, (0,)).to_parquet(run.probes(1))
    assert [one["title"] for one in detail(run.path)["probes"]] == [QUANTITIES["features"]]


def test_readers_know_what_trainings_write():
    assert tuple(QUANTITIES) == MEASURED
    assert set(PARTS) == set(KINDS)
    assert set(ENDS) < set(PARTS)

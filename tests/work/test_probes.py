"""`runtime.probes` from the command line: a file beside the others, of one process or two, and the same run."""

from pathlib import Path

import pandas as pd
import pytest
from cli import TINY, record, refusal, taunode
from harness import RESULTS

RUN = (*TINY, "schedule.epochs=2", "arch.norm=none", "tau=inverse_sqrt", "precision=fp64")


def test_a_run_with_probes_is_the_same_run_with_one_file_more(tmp_path: Path) -> None:
    taunode(*RUN, "hydra.run.dir=plain", cwd=tmp_path)
    taunode(*RUN, "hydra.run.dir=probed", "runtime.probes=3", cwd=tmp_path)
    plain, probed = tmp_path / "plain", tmp_path / "probed"
    for name in RESULTS:
        assert (plain / name).read_bytes() == (probed / name).read_bytes()
    assert record(plain)["signature"] == record(probed)["signature"]
    assert not list(plain.glob("probes*"))
    assert (probed / "probes.parquet").samefile(probed / "probes.1.parquet")
    table = pd.read_parquet(probed / "probes.parquet")
    assert sorted(set(table["step"])) == [0, 3, 6]

    taunode(*RUN, "hydra.run.dir=two", "runtime.probes=3", cwd=tmp_path, processes=2)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "two" / "probes.parquet"), table, rtol=1e-9, atol=0)


def test_no_steps_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal([*TINY, "runtime.probes=0"], capfd).endswith(
        "runtime.probes must be at least 1 step, or null for none, got 0"
    )
    assert not list(tmp_path.iterdir())

"""Real Slurm clusters for the tests of this folder; `make test-slurm` runs them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm.cluster import Cluster
from slurm.rig import Rig, missing


def _cluster(accounting: bool, folder: Path, **settings: object) -> Iterator[Cluster]:
    if "TAUNODE_SLURM" not in os.environ:
        pytest.skip("starts a Slurm cluster: make test-slurm")
    if lacking := missing(accounting):
        pytest.skip(f"no {', '.join(lacking)} here; Debian has them in slurmctld, slurmd, slurm-client, munge …")
    with Rig(3, accounting, {"MaxArraySize": 51, **settings}) as rig:
        yield Cluster(rig, folder)


@pytest.fixture(scope="session")
def accounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes; with accounting, which also enforces limits."""
    yield from _cluster(True, tmp_path_factory.mktemp("accounted"), AccountingStorageEnforce="limits")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes without accounting: sacct fails."""
    yield from _cluster(False, tmp_path_factory.mktemp("plain"))

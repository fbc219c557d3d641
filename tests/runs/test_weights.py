"""The weights of a run, whether it has ended or not."""

import os
import signal

import pytest
import torch
from harness import execute, finish, wait_until
from safetensors.torch import load_file

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory
from taunode.runs.weights import load_weights
from taunode.training.checkpoint import furthest


def test_of_a_run_that_is_done(run: RunDirectory) -> None:
    finish([run])
    for which, name in (("last", "model.safetensors"), ("best", "best.safetensors")):
        expected = load_file(run.path / name)
        found = load_weights(run, which)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_of_a_run_that_goes_on_they_are_the_checkpoints(long_run: RunDirectory) -> None:
    with pytest.raises(BadInput, match="no last weights yet"):
        load_weights(long_run, "last")
    worker = execute([long_run])
    wait_until(lambda: long_run.metrics(1).exists() and long_run.metrics(1).stat().st_size, worker)
    os.kill(worker.pid, signal.SIGTERM)
    worker.join()
    state = furthest(long_run.open_checkpoints())
    for which, name in (("last", "model"), ("best", "best_weights")):
        found = load_weights(long_run, which)
        assert all(torch.equal(found[key], value) for key, value in state[name].items())

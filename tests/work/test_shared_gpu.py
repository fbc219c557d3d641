"""Several workers on one GPU: the first never waits, others until there is memory for what a run uses at its peak."""

import os

import pytest
from harness import runtime

from taunode.command import local
from taunode.runs.directory import RunDirectory
from taunode.work.assignment import Assignment
from taunode.work.crew import Crew
from taunode.work.shared_gpu import CONTEXT, MARGIN, SharedGpu, free_memory
from taunode.work.signals import Signals


def used(run: RunDirectory, megabytes: float) -> None:
    run.claim(1).write_text("")
    run.timings(1).write_text(f"epoch,peak_memory_mb\n1,{megabytes}\n2,{megabytes / 2}\n")


def test_the_first_worker_of_a_gpu_asks_nobody(run: RunDirectory) -> None:
    assert SharedGpu([run], 0, free=lambda: pytest.fail("asked")).try_to_take()


def test_a_second_one_waits_until_somebody_knows_what_a_run_needs(run: RunDirectory) -> None:
    assert not SharedGpu([run], 1, free=lambda: 10**15).try_to_take()


def test_a_second_one_needs_the_peak_with_room(run: RunDirectory) -> None:
    used(run, 1000.0)
    needed = round(MARGIN * 1e9 + CONTEXT)
    assert SharedGpu([run], 1, free=lambda: needed).try_to_take()
    assert not SharedGpu([run], 1, free=lambda: needed - 1).try_to_take()


def test_where_no_gpu_answers_nothing_is_free() -> None:
    assert free_memory() >= 0


def test_workers_take_the_gpus_in_turn(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = []

    def work(todo: object, also: object, signals: Signals, slots: SharedGpu) -> None:
        placed.append((os.environ["CUDA_VISIBLE_DEVICES"], slots.place))

    def all_in_turn(crew: Crew, count: int, meanwhile: object) -> list[int]:
        return [crew.serve(place, Signals()) for place in range(count)]

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(local, "visible_gpus", lambda runtime: ["4", "7"])
    monkeypatch.setattr(local, "work", work)
    monkeypatch.setattr(Crew, "run", all_in_turn)
    todo = [Assignment(run, runtime())] * 5
    local._Local(todo, 5, frozenset()).execute(todo, lambda: None)
    assert placed == [("4", 0), ("7", 0), ("4", 1), ("7", 1), ("4", 2)]

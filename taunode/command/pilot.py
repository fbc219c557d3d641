"""A pilot: some steps of a run that has not been begun, to say how long its epochs will take. Leaves nothing behind."""

import os
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from taunode import build
from taunode.errors import BadInput
from taunode.plan.plan import PlannedRun
from taunode.runs.directory import RunDirectory
from taunode.runs.files import to_yaml, write_text
from taunode.runs.runtime import Runtime

STEPS, WARM_UP, PARTS = 24, 4, 5
EVALUATION = 1 / 3  # of a training step's time an image: the forward pass without the backward one


def pilot(planned: PlannedRun, runtime: Runtime) -> tuple[str, list[float]]:
    """The device, and several measurements of the seconds of an epoch, evaluation included, in a worker by itself.

    Raises:
        BadInput: the data are not here, or the run cannot be begun.
    """
    from taunode.training.loop import Stopped
    from taunode.work.attempt import NoFiles, choose_device, device_name, train
    from taunode.work.automatic import decided

    data_set = build.data_set(planned.config)
    if data_set.to_download(Path(runtime.data_root)):
        raise BadInput(f"--pilot: {data_set.name} is not in {runtime.data_root}; run something on it first")
    splits = data_set.load(Path(runtime.data_root), Path(runtime.cache_dir))
    batch = build.schedule(planned.config).batch_size
    others = len(splits.test) + (0 if splits.validation is None else len(splits.validation))
    steps = -(-len(splits.train) // batch)
    times: list[float] = []  # one a step, and one at the end of each epoch but the last

    def enough() -> bool:
        times.append(time.perf_counter())
        return len(times) >= STEPS

    worker = replace(decided(runtime, planned.config).resolved(), threads=runtime.threads or 1)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as log:
        run = RunDirectory(Path(folder))
        write_text(run.config, to_yaml(planned.config))
        try:
            train(run, 1, NoFiles(), worker, enough, log, None, None)
        except Stopped:
            pass
        except Exception as error:  # whatever the run itself would fail with
            text = str(error).partition("\n")[0]
            raise BadInput(f"--pilot: {planned.run.path.name}: {type(error).__name__}: {text}") from error
    took = [later - sooner for sooner, later in pairwise(times)]
    took = [seconds for place, seconds in enumerate(took) if place % (steps + 1) != steps - 1]  # but evaluations
    took = took[min(WARM_UP, len(took) // 2) :]
    if not took:
        raise BadInput(f"--pilot: {planned.run.path.name} has too few steps to measure one")
    epoch = steps + EVALUATION * others / batch
    parts = min(PARTS, len(took))
    return device_name(choose_device(runtime.device)), [epoch * fmean(took[part::parts]) for part in range(parts)]

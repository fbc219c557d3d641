"""Python of the Slurm tests' tasks starts with this: runs that fail in chosen ways, or that take no time at all.

`TAUNODE_TEST_TRAINING` says which: `faults`, the real training, but runs with these seeds end so; `quick`, no training
at all, and no torch: what is tested is who executes what. The runs of such sweeps have dataset=synthetic.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
import types

EXCEPTION, EXIT, SEGFAULT, KILLED_ONCE, KILLED_ALWAYS, MEMORY, OOM_TEXT, STUCK = range(1, 9)
WAITING = {
    9: 3,
    11: 1,
    12: 1,
    13: 1,
    14: 1,
    15: 1,
}  # seed → so many attempts wait, with a checkpoint


def fault(seed, attempt):
    """End the present process in the way that belongs to a seed; nothing for others."""
    if seed == EXCEPTION:
        raise ValueError("this run fails")
    if seed == EXIT:
        sys.exit(3)
    if seed == SEGFAULT:
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == KILLED_ALWAYS or (seed == KILLED_ONCE and attempt == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == MEMORY:
        raise MemoryError
    if seed == OOM_TEXT and attempt == 1:  # as when the kernel has killed a whole task
        with open(os.environ["TAUNODE_TEST_STDERR"], "a") as errors:
            step = f"{os.environ['SLURM_JOB_ID']}.0"
            errors.write(f"slurmstepd: error: Detected 1 oom_kill event in StepId={step}. Some were OOM Killed.\n")
        os.kill(int(os.environ["TAUNODE_TEST_TASK"]), signal.SIGSTOP)  # or it would start another worker
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(int(os.environ["TAUNODE_TEST_TASK"]), signal.SIGKILL)
        time.sleep(60)
    if seed == STUCK:
        while True:
            time.sleep(60)  # a step that is longer than the time limit


def waiting(stop, run, attempt):
    """Like `stop`, but with a checkpoint only once it is true: training stands still between two steps."""

    def stops():
        while attempt in run.checkpoints() and not stop():
            time.sleep(0.02)
        return stop()

    return stops


def quick():
    """A stand-in for taunode.work.attempt: writes what every run has, a line of metrics, and is done."""
    module = types.ModuleType("taunode.work.attempt")

    class AttemptFiles:
        def __init__(self, claim):
            self.claim = claim

    def train(run, attempt, files):
        import json

        from taunode.runs.files import write_text
        from taunode.work.hydra_files import write_hydra

        write_hydra(run)
        seed = run.read_config()["seed"]
        fault(seed if os.environ.get("TAUNODE_TEST_BROKEN") else 0, attempt)
        time.sleep(float(os.environ.get("TAUNODE_TEST_SECONDS", "0")))
        with open(os.environ["TAUNODE_TEST_DIARY"], "a") as diary:
            array, index = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
            diary.write(json.dumps([run.path.name, attempt, array, index]) + "\n")
        files.claim.hold()
        write_text(run.metrics(attempt), "epoch,test_error\n1,0.5\n")
        return {"epochs": 1, "final_test_error": 0.5}

    def execute(run, attempt, files, runtime, stop, log, screen=None, member=None):
        try:
            return {"state": "done", "end": "finished", "summary": train(run, attempt, files)}
        except MemoryError:
            return {"state": "out_of_memory", "end": "MemoryError"}
        except Exception as error:
            return {"state": "failed", "end": str(error)}

    module.AttemptFiles, module.execute = AttemptFiles, execute
    sys.modules["taunode.work.attempt"] = module


def faulty(module):
    real = module.train

    def train(run, attempt, files, runtime, stop, *rest):
        seed = run.read_config()["seed"]
        fault(seed, attempt)
        if attempt <= WAITING.get(seed, 0):
            stop = waiting(stop, run, attempt)
        return real(run, attempt, files, runtime, stop, *rest)

    module.train = train


class _AfterImport(importlib.abc.MetaPathFinder):
    """Changes taunode.work.attempt as soon as it has been imported."""

    def find_spec(self, name, path, target=None):
        if name != "taunode.work.attempt":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        loader = spec.loader.exec_module

        def then(module):
            loader(module)
            faulty(module)

        spec.loader.exec_module = then
        return spec


if "SLURM_STEP_ID" in os.environ:
    training = os.environ.get("TAUNODE_TEST_TRAINING")
    os.environ["TAUNODE_TEST_TASK"] = str(os.getpid())
    os.environ["TAUNODE_TEST_STDERR"] = os.readlink("/proc/self/fd/2")
    if training == "quick":
        quick()
    elif training == "faults":
        sys.meta_path.insert(0, _AfterImport())

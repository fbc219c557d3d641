"""Python of the Slurm tests' tasks starts with this: runs that fail in chosen ways, or that take no time at all.

`TAUNODE_TEST_TRAINING` says which: `faults`, the real training, but runs with these seeds end so; `quick`, no training
at all, and no torch: what is tested is who executes what; `stepped`, no torch either, but steps, each with a
checkpoint, and results that depend on all of them. The runs of such sweeps have dataset=synthetic.
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

    def choose_device(name, number=None):
        from taunode.errors import BadInput

        if name.startswith("cuda"):
            raise BadInput(f"runtime.device={name}: this machine has 0 CUDA devices")

    module.AttemptFiles, module.execute, module.choose_device = AttemptFiles, execute, choose_device
    sys.modules["taunode.work.attempt"] = module


STEPS, EPOCH = 12, 4  # of a stepped training; steps of an epoch


def stepped():
    """A stand-in for taunode.work.attempt: a chain of hashes, which a step lost or done twice would change."""
    module = types.ModuleType("taunode.work.attempt")

    class Stopped(Exception):  # noqa: N818 -- it stands for the one of that name in taunode.training.loop
        pass

    class AttemptFiles:
        def __init__(self, claim):
            self.claim = claim

        def write(self, path, content):
            from taunode.runs.files import write_aside

            self.claim.hold()
            write_aside(path, lambda file: file.write(content), durable=True)

    def begun(run):
        """The furthest checkpoint."""
        import json

        found = [json.load(file) for file in run.open_checkpoints()]
        return max(found, key=lambda state: state["step"], default={"step": 0, "chain": "", "rows": []})

    def tables(run, attempt, files, rows):
        for path, name in ((run.metrics(attempt), "test_error"), (run.timings(attempt), "seconds")):
            files.write(path, "".join(f"{a},{b}\n" for a, b in [("epoch", name), *rows]).encode())

    def train(run, attempt, files, stop):
        import hashlib
        import json

        from taunode.work.hydra_files import write_hydra

        began = time.monotonic()
        write_hydra(run)
        seed, state = run.read_config()["seed"], begun(run)
        print(f"goes on after {state['step']} steps", flush=True)
        while state["step"] < STEPS:
            if stop():
                raise Stopped
            time.sleep(float(os.environ.get("TAUNODE_TEST_SECONDS", "0.03")))
            state["step"] += 1
            state["chain"] = hashlib.sha256(f"{state['chain']} {seed} {state['step']}".encode()).hexdigest()
            if state["step"] % EPOCH == 0:
                state["rows"].append([state["step"] // EPOCH, int(state["chain"][:4], 16) / 655.36])
                tables(run, attempt, files, state["rows"])
            files.write(run.checkpoint(attempt), json.dumps(state).encode())
            for number in run.checkpoints():
                if number < attempt:
                    run.checkpoint(number).unlink(missing_ok=True)
        tables(run, attempt, files, state["rows"])
        files.write(run.model(attempt), state["chain"].encode())
        files.write(run.best(attempt), str(min(error for _, error in state["rows"])).encode())
        final = state["rows"][-1][1]
        return {"epochs": len(state["rows"]), "final_test_error": final, "seconds": time.monotonic() - began}

    def execute(run, attempt, files, runtime, stop, log, screen=None, member=None):
        from taunode.runs.claim import LostClaim

        try:
            return {"state": "done", "end": "finished", "summary": train(run, attempt, files, stop)}
        except Stopped:
            return {"state": "planned", "end": "stopped"}
        except LostClaim:
            return {"state": None, "end": "lost its claim"}
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
    if training in ("quick", "stepped"):
        globals()[training]()
    elif training == "faults":
        sys.meta_path.insert(0, _AfterImport())
